"""Tasks in the music app: songs, the player, playlists."""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_hindsight.envs.appworld.miniature.api import finds, searched_text
from agentgym_hindsight.envs.appworld.miniature.goals import Goal
from agentgym_hindsight.envs.appworld.miniature.schema import Row
from agentgym_hindsight.envs.appworld.miniature.templates.additions import past
from agentgym_hindsight.envs.appworld.miniature.templates.base import Draws, Job, template
from agentgym_hindsight.envs.appworld.miniature.templates.common import DONE, answer, login, replaced, with_extra_turn
from agentgym_hindsight.envs.appworld.miniature.wordlists import listed
from agentgym_hindsight.envs.appworld.miniature.world import World

__all__ = ["PLAYLISTS", "TEMPLATES", "expects_playlist", "findable_songs", "new_playlist"]

PLAYLISTS = listed(
    "Rainy Monday, Sunday kitchen, Night bus, Long walks, Spring cleaning, Late shift, Campfire, Blue hour, "
    "First snow, Old friends"
)
# no word of them occurs in the titles of songs, so that a title still finds its song only
_FIRST = listed("Polite, Crooked, Sleepy, Marble, Foggy, Woollen, Tall, Spare, Plain, Rural")
_SECOND = listed("Foxes, Umbrellas, Postmen, Trams, Kettles, Bakers, Moths, Bridges")


def findable_songs(world: World, draws: Draws, count: int) -> list[Row]:
    """Draw songs whose title, as a query, finds no other song."""
    rows = world.rows("music_songs")
    artists = {row["id"]: row["name"] for row in world.rows("music_artists")}
    albums = {row["id"]: row["title"] for row in world.rows("music_albums")}
    texts = [searched_text(row["title"], artists[row["artist_id"]], albums[row["album_id"]]) for row in rows]
    unambiguous = [row for row in rows if sum(finds(row["title"].casefold().split(), text) for text in texts) == 1]
    return draws.sample(unambiguous, count)


def expects_playlist(goal: Goal, world: World, title: str, songs: Sequence[Row], *, public: bool) -> Goal:
    """Require a new playlist of the supervisor with these songs in this order."""
    last = world.highest("music_playlists", "id")
    owner = world.supervisor.email
    goal.adds("music_playlists", f"There is a playlist “{title}”.", owner=owner, title=title, public=public)
    for position, song in enumerate(songs):
        requirement = f"“{song['title']}” is song {position + 1} of it."
        where = {"position": position, "song_id": song["id"]}
        goal.adds("music_playlist_songs", requirement, playlist_id=lambda key: key > last, **where)
    return goal


def new_playlist(title: str, *, public: bool = False) -> str:
    """Return code that makes a playlist of ``songs``."""
    return (
        "new = apis.music.create_playlist(access_token=music_token, "
        f"title={title!r}{', public=True' if public else ''})['playlist_id']\n"
        "for song in songs:\n"
        "    apis.music.add_song_to_playlist(access_token=music_token, playlist_id=new, song_id=song['song_id'])"
    )


@template("train", 1, edition=2)
def ask_artist(world: World, draws: Draws) -> Job:
    """Name the artist of a song."""
    song = findable_songs(world, draws, 1)[0]
    world.update("music_songs", song["id"], plays=100 + draws.below(90_000))  # makes every task different
    # a new name, because all worlds together have twelve artists
    artist = draws.in_turn([f"The {first} {second}" for first in _FIRST for second in _SECOND])
    world.update("music_artists", song["artist_id"], name=artist)
    solution = f"songs = apis.music.search_songs(query={song['title']!r})", answer("songs[0]['artist']")
    other = f"[row['name'] for row in apis.music.search_artists() if row['name'] != {artist!r}][0]"
    play = "apis.music.play_song(access_token=music_token, song_id=songs[0]['song_id'])"
    return Job(
        draws.pick((f"Who recorded the song “{song['title']}”?", f"Which artist is the song “{song['title']}” by?")),
        solution,
        Goal(artist),
        {
            "wrong answer: the album": replaced(solution, "['artist']", "['album']"),
            "wrong answer: the genre": replaced(solution, "['artist']", "['genre']"),
            "wrong answer: somebody else": replaced(solution, "songs[0]['artist']", other),
            "collateral change": with_extra_turn(solution, f"{login('music')}\n{play}"),
        },
    )


@template("train", 1)
def play_at_volume(world: World, draws: Draws) -> Job:
    """Play a song at a given volume."""
    me, (song, other) = world.supervisor.email, findable_songs(world, draws, 2)
    volume = draws.pick([volume for volume in range(5, 100) if volume != 50])
    world.update("music_players", me, song_id=None, playing=False, volume=50)
    play = (
        f"song = apis.music.search_songs(query={song['title']!r})[0]\n"
        "apis.music.play_song(access_token=music_token, song_id=song['song_id'])"
    )
    solution = login("music"), play, f"apis.music.set_volume(access_token=music_token, volume={volume})", DONE
    add = "apis.music.add_to_queue(access_token=music_token, song_id=song['song_id'])"
    requirement = f"“{song['title']}” is playing at volume {volume}."
    return Job(
        f"Play the song “{song['title']}” and set the volume to {volume}.",
        solution,
        Goal().changes("music_players", {"user": me}, requirement, song_id=song["id"], playing=True, volume=volume),
        {
            "wrong volume": replaced(solution, f"volume={volume}", f"volume={volume + 1}"),
            "wrong song": replaced(solution, song["title"], other["title"]),
            "plays nothing": replaced(solution, play, "pass"),
            "only queued": replaced(solution, "play_song", "add_to_queue"),
            "collateral change": with_extra_turn(solution, add),
        },
    )


@template("dev", 1)
def ask_longest_song(world: World, draws: Draws) -> Job:
    """Name the longest song of a playlist; it is neither the first nor the most played one."""
    songs = draws.sample(world.rows("music_songs"), 7)
    longest = draws.pick(songs[1:])
    for song, seconds in zip(songs, draws.sample(range(130, 400), 7), strict=True):
        world.update("music_songs", song["id"], seconds=seconds)
    world.update("music_songs", longest["id"], seconds=430 + draws.below(60), plays=draws.below(90))
    title, other = draws.sample(PLAYLISTS, 2)
    for name, members in ((title, songs), (other, [song for song in songs if song != longest])):
        at = past(world, draws, 200)
        number = world.insert("music_playlists", owner=world.supervisor.email, title=name, created_at=at)
        for position, song in enumerate(members):
            world.insert("music_playlist_songs", playlist_id=number, position=position, song_id=song["id"])
    solution = (
        login("music"),
        f"playlist = apis.music.show_playlists(access_token=music_token, query={title!r})[0]\n"
        "found = apis.music.show_playlist(access_token=music_token, playlist_id=playlist['playlist_id'])",
        "longest = max(found['songs'], key=lambda song: song['seconds'])",
        answer("longest['title']"),
    )
    play = "apis.music.play_song(access_token=music_token, song_id=longest['song_id'])"
    return Job(
        f"Which song of my playlist “{title}” is the longest? Answer with its title.",
        solution,
        Goal(longest["title"]),
        {
            "wrong answer: the first": replaced(solution, "longest['title']", "found['songs'][0]['title']"),
            "wrong answer: the shortest": replaced(solution, "max(", "min("),
            "wrong answer: the most played": replaced(solution, "song['seconds']", "song['plays']"),
            "wrong answer: another playlist": replaced(solution, title, other),
            "collateral change": with_extra_turn(solution, play),
        },
    )


@template("test", 3)
def gather_liked_songs(world: World, draws: Draws) -> Job:
    """Make a playlist of all liked songs of a genre, longest first."""
    me, rows = world.supervisor.email, world.rows("music_songs")
    genres = [row["genre"] for row in rows]
    genre, title = draws.pick(sorted({name for name in genres if genres.count(name) >= 6})), draws.pick(PLAYLISTS)
    genre_songs = draws.sample([row for row in rows if row["genre"] == genre], 6)  # more than one page
    other_songs = draws.sample([row for row in rows if row["genre"] != genre], 7)
    for like in world.rows("music_likes", user=me):
        world.delete("music_likes", like)
    for song, seconds in zip((*genre_songs, *other_songs), draws.sample(range(130, 400), 13), strict=True):
        world.update("music_songs", song["id"], seconds=seconds)
        world.insert("music_likes", user=me, song_id=song["id"])
    lengths = {row["id"]: row["seconds"] for row in world.rows("music_songs")}
    ordered = sorted(genre_songs, key=lambda song: lengths[song["id"]], reverse=True)
    solution = (
        login("music", every=True),
        "liked = every(apis.music.show_liked_songs, access_token=music_token)\n"
        f"songs = [song for song in liked if song['genre'] == {genre!r}]\n"
        "songs.sort(key=lambda song: song['seconds'], reverse=True)",
        new_playlist(title),
        DONE,
    )
    unlike = "apis.music.unlike_song(access_token=music_token, song_id=songs[0]['song_id'])"
    return Job(
        f"Make a private playlist called “{title}” of all {genre} songs that I like, the longest first.",
        solution,
        expects_playlist(Goal(), world, title, ordered, public=False),
        {
            "first page only": replaced(
                solution, "every(apis.music.show_liked_songs, ", "apis.music.show_liked_songs("
            ),
            "forgot the genre": replaced(solution, f" if song['genre'] == {genre!r}", ""),
            "the shortest first": replaced(solution, ", reverse=True", ""),
            "public": replaced(solution, f"title={title!r}", f"title={title!r}, public=True"),
            "collateral change": with_extra_turn(solution, unlike),
        },
    )


TEMPLATES = (
    ask_artist,
    play_at_volume,
    ask_longest_song,
    gather_liked_songs,
)
