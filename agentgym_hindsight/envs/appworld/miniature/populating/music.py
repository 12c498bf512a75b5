"""Initial data of the music app: artists, albums, songs, and the supervisor's library."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.miniature.populating.story import Story
from agentgym_hindsight.envs.appworld.miniature.wordlists import listed

__all__ = ["write_music"]

_GENRES = ("folk", "jazz", "rock", "electronic", "classical", "soul")
_GROUPS = listed(
    "The Paper Lanterns, Marsh & Meadow, Quiet Engine, Velvet Antlers, Nine Herons, The Salt Choir, Orla Finch, "
    "Kite Season, Low Tide Trio, Bramble Radio, Sister Comet, The Tin Owls"
)
_ADJECTIVES = listed("Silver Hollow Gentle Broken Distant Golden Restless Northern Burning Lucky Paper Velvet")
_NOUNS = [
    "River",
    "Window",
    "Engine",
    "Harbor",
    "Lantern",
    "Orchard",
    "Signal",
    "Season",
    "Mirror",
    "Garden",
    "Thunder",
    "Postcard",
    "Staircase",
    "Feather",
]


def write_music(story: Story) -> None:
    """Write ten artists with one or two albums of three or four songs each, and the supervisor's library."""
    me, draws = story.me, story.draws("music")
    titles = draws.sample([f"{adjective} {noun}" for adjective in _ADJECTIVES for noun in _NOUNS], 100)
    songs: list[int] = []
    for name in draws.sample(_GROUPS, 10):
        genre = draws.pick(_GENRES)
        artist = story.add("music_artists", name=name, genre=genre, followers=50 + draws.below(5000))
        for _ in range(1 + draws.below(2)):
            released = story.day(-30 - draws.below(4000))
            album = story.add("music_albums", title=titles.pop(), artist_id=artist, genre=genre, released_on=released)
            songs += [
                story.add(
                    "music_songs",
                    title=titles.pop(),
                    artist_id=artist,
                    album_id=album,
                    genre=genre,
                    seconds=120 + draws.below(240),
                    plays=100 + draws.below(90_000),
                    released_on=released,
                )
                for _ in range(3 + draws.below(2))
            ]
    albums = len(story.db.rows("music_albums"))
    for song in draws.sample(songs, 10):
        story.add("music_likes", user=me.email, song_id=song)
    for album in draws.sample(range(1, albums + 1), 3):
        story.add("music_saved_albums", user=me.email, album_id=album)
    for artist in draws.sample(range(1, 11), 3):
        story.add("music_follows", user=me.email, artist_id=artist)
    for song in draws.sample(songs, 12):
        story.add("music_listens", user=me.email, song_id=song, times=1 + draws.below(40))
    friend = story.host
    for owner, title, public, count in (
        (me, f"Road to {story.place}", True, 6),
        (me, "Running", False, 5),
        (me, "Quiet evenings", False, 4),
        (friend, f"{friend.first_name}'s picks", True, 5),
        (friend, "Secret songs", False, 3),
    ):
        playlist = story.add(
            "music_playlists", owner=owner.email, title=title, public=public, created_at=story.past(draws, 200)
        )
        for position, song in enumerate(draws.sample(songs, count)):
            story.add("music_playlist_songs", playlist_id=playlist, position=position, song_id=song)
    for position, song in enumerate(draws.sample(songs, 3)):
        story.add("music_queue", user=me.email, position=position, song_id=song)
    for person in story.people:
        playing = draws.pick(songs) if person is me else None
        volume = 10 * (2 + draws.below(7))
        story.add("music_players", user=person.email, song_id=playing, playing=False, volume=volume)
