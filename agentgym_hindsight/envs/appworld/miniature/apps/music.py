"""The music app: songs, albums, artists, likes and follows. Playlists and the player are in ``playlists.py``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature.accounts import add_account_apis
from agentgym_hindsight.envs.appworld.miniature.api import App, Call, matches, view
from agentgym_hindsight.envs.appworld.miniature.parameter_types import Line, Query
from agentgym_hindsight.envs.appworld.miniature.schema import NOW, Row, Table

__all__ = ["APP", "SONG", "music_row", "song_views"]

APP = App(
    "music",
    "Find and play songs; like them, gather them in playlists, follow artists.",
    Table("music_artists", id=int, name=str, genre=str, followers=int),
    Table("music_albums", id=int, title=str, artist_id=int, genre=str, released_on=str),
    Table(
        "music_songs",
        id=int,
        title=str,
        artist_id=int,
        album_id=int,
        genre=str,
        seconds=int,
        plays=int,
        released_on=str,
    ),
    Table("music_likes", key=("user", "song_id"), user=str, song_id=int),
    Table("music_saved_albums", key=("user", "album_id"), user=str, album_id=int),
    Table("music_follows", key=("user", "artist_id"), user=str, artist_id=int),
    Table("music_listens", key=("user", "song_id"), user=str, song_id=int, times=int),
    Table("music_playlists", id=int, owner=str, title=str, public=(bool, False), created_at=(str, NOW)),
    Table("music_playlist_songs", key=("playlist_id", "position"), playlist_id=int, position=int, song_id=int),
    Table("music_queue", key=("user", "position"), user=str, position=int, song_id=int),
    Table("music_players", key=("user",), user=str, song_id=(int, None), playing=(bool, False), volume=(int, 50)),
)
add_account_apis(APP)

SONG = {
    "song_id": int,
    "title": str,
    "artist": str,
    "artist_id": int,
    "album": str,
    "album_id": int,
    "genre": str,
    "seconds": int,
    "plays": int,
    "released_on": str,
}
_ALBUM = {"album_id": int, "title": str, "artist": str, "artist_id": int, "genre": str, "released_on": str}
_ARTIST = {"artist_id": int, "name": str, "genre": str, "followers": int}
_CONFIRMATION = {"message": str}


def music_row(call: Call, noun: str, key: int) -> Row:
    """Return the song, album or artist with this id. Status 404 if there is none."""
    row = call.db.find(f"music_{noun}s", id=key)
    if row is None:
        raise ApiFailure(404, f"There is no {noun} with {noun}_id {key}.")
    return row


def song_views(call: Call, rows: Iterable[Row]) -> list[Row]:
    """Return songs as APIs show them."""
    artists, albums = _names(call), {row["id"]: row["title"] for row in call.db.rows("music_albums")}
    return [
        view(row, SONG, song_id=row["id"], artist=artists[row["artist_id"]], album=albums[row["album_id"]])
        for row in rows
    ]


def _names(call: Call) -> dict[int, str]:
    return {row["id"]: row["name"] for row in call.db.rows("music_artists")}


def _album_views(call: Call, rows: Iterable[Row]) -> list[Row]:
    artists = _names(call)
    return [view(row, _ALBUM, album_id=row["id"], artist=artists[row["artist_id"]]) for row in rows]


def _artist_view(row: Row) -> Row:
    return view(row, _ARTIST, artist_id=row["id"])


# -- finding ----------------------------------------------------------------------------------------------------


@APP.read([{"genre": str, "songs": int}], login=False)
def show_genres(call: Call) -> list[Row]:
    """All genres, and how many songs each has."""
    genres = [row["genre"] for row in call.db.rows("music_songs")]
    return [{"genre": genre, "songs": genres.count(genre)} for genre in sorted(set(genres))]


@APP.read([SONG], paged=True, login=False)
def search_songs(
    call: Call,
    query: Query = "",
    genre: Line | None = None,
    artist_id: int | None = None,
    album_id: int | None = None,
    sort_by: Literal["title", "plays", "released_on", "seconds"] = "title",
) -> list[Row]:
    """Songs that fit.

    query: words that must all occur in title, artist or album
    genre: see show_genres
    sort_by: plays and released_on put the highest and the latest first, seconds the shortest
    """
    songs = song_views(call, call.db.rows("music_songs"))
    matching = [
        song
        for song in songs
        if matches(query, song["title"], song["artist"], song["album"])
        and genre in (None, song["genre"])
        and artist_id in (None, song["artist_id"])
        and album_id in (None, song["album_id"])
    ]
    return sorted(matching, key=lambda song: song[sort_by], reverse=sort_by in ("plays", "released_on"))


@APP.read(SONG, login=False)
def show_song(call: Call, song_id: int) -> Row:
    """One song."""
    return song_views(call, [music_row(call, "song", song_id)])[0]


@APP.read([_ALBUM], paged=True, login=False)
def search_albums(call: Call, query: Query = "", genre: Line | None = None, artist_id: int | None = None) -> list[Row]:
    """Albums by title.

    query: words that must all occur in title or artist
    """
    albums = _album_views(call, call.db.rows("music_albums"))
    return [
        album
        for album in sorted(albums, key=lambda album: album["title"])
        if matches(query, album["title"], album["artist"])
        and genre in (None, album["genre"])
        and artist_id in (None, album["artist_id"])
    ]


@APP.read({**_ALBUM, "songs": [SONG]}, login=False)
def show_album(call: Call, album_id: int) -> Row:
    """An album with its songs."""
    album = _album_views(call, [music_row(call, "album", album_id)])[0]
    return {**album, "songs": song_views(call, call.db.rows("music_songs", album_id=album_id))}


@APP.read([_ARTIST], paged=True, login=False)
def search_artists(call: Call, query: Query = "", genre: Line | None = None) -> list[Row]:
    """Artists by name.

    query: words that must all occur in the name
    """
    return [
        _artist_view(row)
        for row in sorted(call.db.rows("music_artists"), key=lambda row: str(row["name"]))
        if matches(query, row["name"]) and genre in (None, row["genre"])
    ]


@APP.read(_ARTIST, login=False)
def show_artist(call: Call, artist_id: int) -> Row:
    """One artist."""
    return _artist_view(music_row(call, "artist", artist_id))


@APP.read([{**SONG, "times": int}], paged=True)
def show_listening_history(call: Call) -> list[Row]:
    """Songs you listened to and how often, most often first."""
    rows = sorted(call.db.rows("music_listens", user=call.user), key=lambda row: (-row["times"], row["song_id"]))
    songs = song_views(call, (music_row(call, "song", row["song_id"]) for row in rows))
    return [{**song, "times": row["times"]} for song, row in zip(songs, rows, strict=True)]


# -- liking, saving, following ----------------------------------------------------------------------------------


def _link(call: Call, table: str, noun: str, key: int, participle: str) -> Row:
    row = music_row(call, noun, key)
    if call.db.find(table, **{"user": call.user, f"{noun}_id": key}):
        raise ApiFailure(409, f"You have {participle} {noun} {key} already.")
    call.db.insert(table, **{"user": call.user, f"{noun}_id": key})
    return row


def _unlink(call: Call, table: str, noun: str, key: int, participle: str) -> None:
    music_row(call, noun, key)
    row = call.db.find(table, **{"user": call.user, f"{noun}_id": key})
    if row is None:
        raise ApiFailure(404, f"You have not {participle} {noun} {key}.")
    call.db.delete(table, row)


@APP.read([SONG], paged=True)
def show_liked_songs(call: Call) -> list[Row]:
    """Songs you like, by song_id."""
    rows = call.db.rows("music_likes", user=call.user)
    return song_views(call, (music_row(call, "song", row["song_id"]) for row in rows))


@APP.write(_CONFIRMATION)
def like_song(call: Call, song_id: int) -> Row:
    """Like a song."""
    return {"message": f"Liked {_link(call, 'music_likes', 'song', song_id, 'liked')['title']}."}


@APP.write(_CONFIRMATION)
def unlike_song(call: Call, song_id: int) -> Row:
    """Take a like back."""
    _unlink(call, "music_likes", "song", song_id, "liked")
    return {"message": "The like is taken back."}


@APP.read([_ALBUM], paged=True)
def show_saved_albums(call: Call) -> list[Row]:
    """Albums in your library, by album_id."""
    rows = call.db.rows("music_saved_albums", user=call.user)
    return _album_views(call, (music_row(call, "album", row["album_id"]) for row in rows))


@APP.write(_CONFIRMATION)
def save_album(call: Call, album_id: int) -> Row:
    """Put an album into your library."""
    return {"message": f"Saved {_link(call, 'music_saved_albums', 'album', album_id, 'saved')['title']}."}


@APP.write(_CONFIRMATION)
def remove_saved_album(call: Call, album_id: int) -> Row:
    """Take an album out of your library."""
    _unlink(call, "music_saved_albums", "album", album_id, "saved")
    return {"message": "Taken out of the library."}


@APP.read([_ARTIST], paged=True)
def show_followed_artists(call: Call) -> list[Row]:
    """Artists you follow, by artist_id."""
    rows = call.db.rows("music_follows", user=call.user)
    return [_artist_view(music_row(call, "artist", row["artist_id"])) for row in rows]


@APP.write(_CONFIRMATION)
def follow_artist(call: Call, artist_id: int) -> Row:
    """Follow an artist."""
    row = _link(call, "music_follows", "artist", artist_id, "followed")
    call.db.update("music_artists", artist_id, followers=row["followers"] + 1)
    return {"message": f"You follow {row['name']}."}


@APP.write(_CONFIRMATION)
def unfollow_artist(call: Call, artist_id: int) -> Row:
    """Follow an artist no longer."""
    _unlink(call, "music_follows", "artist", artist_id, "followed")
    row = music_row(call, "artist", artist_id)
    call.db.update("music_artists", artist_id, followers=row["followers"] - 1)
    return {"message": f"You follow {row['name']} no longer."}
