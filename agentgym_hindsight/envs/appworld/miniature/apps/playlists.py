"""Playlists, the queue and the player of the music app."""

from __future__ import annotations

from typing import Annotated

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature.api import Call, matches, newest, view
from agentgym_hindsight.envs.appworld.miniature.apps.music import APP, SONG, music_row, song_views
from agentgym_hindsight.envs.appworld.miniature.parameter_types import Line, Query, Rule
from agentgym_hindsight.envs.appworld.miniature.schema import Row

__all__ = ["APP"]

Volume = Annotated[int, Rule("0 to 100", lambda value: 0 <= value <= 100)]

_PLAYLIST = {"playlist_id": int, "title": str, "owner": str, "public": bool, "songs": int, "created_at": str}
_PLAYER = {"song": (SONG, None), "playing": bool, "volume": int}
_CONFIRMATION = {"message": str}


# -- playlists --------------------------------------------------------------------------------------------------


def _songs(call: Call, playlist_id: int) -> list[int]:
    return [row["song_id"] for row in call.db.rows("music_playlist_songs", playlist_id=playlist_id)]


def _song_views_of(call: Call, songs: list[int]) -> list[Row]:
    return song_views(call, (music_row(call, "song", song_id) for song_id in songs))


def _view(call: Call, row: Row) -> Row:
    return view(row, _PLAYLIST, playlist_id=row["id"], songs=len(_songs(call, row["id"])))


def _own_playlist(call: Call, playlist_id: int) -> Row:
    return call.own_row("music_playlists", "playlist", playlist_id)


def _set_songs(call: Call, table: str, key: Row, songs: list[int]) -> None:
    """Set the songs of a playlist or queue, and write only the rows that differ."""
    stored = call.db.rows(table, **key)
    for position, song_id in enumerate(songs):
        if position >= len(stored):
            call.db.insert(table, **key, position=position, song_id=song_id)
        elif stored[position]["song_id"] != song_id:
            call.db.update(table, stored[position], song_id=song_id)
    for row in stored[len(songs) :]:
        call.db.delete(table, row)


@APP.read([_PLAYLIST], paged=True)
def show_playlists(call: Call, query: Query = "") -> list[Row]:
    """Your playlists, newest first.

    query: words that must all occur in the title
    """
    rows = newest(call.db.rows("music_playlists", owner=call.user), "created_at")
    return [_view(call, row) for row in rows if matches(query, row["title"])]


@APP.read([_PLAYLIST], paged=True, login=False)
def search_public_playlists(call: Call, query: Query = "") -> list[Row]:
    """Anybody's public playlists, newest first.

    query: words that must all occur in title or owner
    """
    rows = newest(call.db.rows("music_playlists", public=True), "created_at")
    return [_view(call, row) for row in rows if matches(query, row["title"], row["owner"])]


@APP.read({**_PLAYLIST, "songs": [SONG]})
def show_playlist(call: Call, playlist_id: int) -> Row:
    """A playlist of yours, or a public one, with its songs in order."""
    row = call.db.find("music_playlists", id=playlist_id)
    if row is None or not row["public"]:
        row = _own_playlist(call, playlist_id)
    songs = _song_views_of(call, _songs(call, playlist_id))
    return {**_view(call, row), "songs": songs}


@APP.write({"message": str, "playlist_id": int})
def create_playlist(call: Call, title: Line, public: bool = False) -> Row:
    """Make an empty playlist.

    public: whether others can see it
    """
    playlist_id = call.db.insert("music_playlists", owner=call.user, title=title, public=public)
    return {"message": f"Created {title}.", "playlist_id": playlist_id}


@APP.write(_CONFIRMATION)
def update_playlist(call: Call, playlist_id: int, title: Line | None = None, public: bool | None = None) -> Row:
    """Change title or visibility of a playlist of yours; what is not given stays."""
    given = {"title": title, "public": public}
    row = _own_playlist(call, playlist_id)
    call.db.update("music_playlists", row, **{name: value for name, value in given.items() if value is not None})
    return {"message": "Playlist changed."}


@APP.write(_CONFIRMATION)
def delete_playlist(call: Call, playlist_id: int) -> Row:
    """Delete a playlist of yours."""
    row = _own_playlist(call, playlist_id)
    _set_songs(call, "music_playlist_songs", {"playlist_id": playlist_id}, [])
    call.db.delete("music_playlists", row)
    return {"message": f"Deleted {row['title']}."}


@APP.write(_CONFIRMATION)
def add_song_to_playlist(call: Call, playlist_id: int, song_id: int) -> Row:
    """Add a song at the end of a playlist of yours."""
    row, song = _own_playlist(call, playlist_id), music_row(call, "song", song_id)
    songs = _songs(call, playlist_id)
    if song_id in songs:
        raise ApiFailure(409, f"Song {song_id} ({song['title']}) is in the playlist already.")
    _set_songs(call, "music_playlist_songs", {"playlist_id": playlist_id}, [*songs, song_id])
    return {"message": f"{song['title']} is in {row['title']}."}


@APP.write(_CONFIRMATION)
def remove_song_from_playlist(call: Call, playlist_id: int, song_id: int) -> Row:
    """Take a song out of a playlist of yours; those after it move up."""
    row = _own_playlist(call, playlist_id)
    songs = _songs(call, playlist_id)
    if song_id not in songs:
        raise ApiFailure(404, f"Song {song_id} is not in the playlist {playlist_id}.")
    _set_songs(call, "music_playlist_songs", {"playlist_id": playlist_id}, [song for song in songs if song != song_id])
    return {"message": f"Taken out of {row['title']}."}


# -- queue and player -------------------------------------------------------------------------------------------


def _queue(call: Call) -> list[int]:
    return [row["song_id"] for row in call.db.rows("music_queue", user=call.user)]


def _player(call: Call) -> Row:
    return call.db.row("music_players", user=call.user)


@APP.read([SONG])
def show_queue(call: Call) -> list[Row]:
    """Songs that will be played next, in order."""
    return _song_views_of(call, _queue(call))


@APP.write(_CONFIRMATION)
def add_to_queue(call: Call, song_id: int) -> Row:
    """Add a song at the end of the queue."""
    song, songs = music_row(call, "song", song_id), _queue(call)
    if len(songs) >= 100:
        raise ApiFailure(409, "The queue holds 100 songs and is full; use clear_queue or next_song.")
    _set_songs(call, "music_queue", {"user": call.user}, [*songs, song_id])
    return {"message": f"{song['title']} is in the queue, place {len(songs) + 1}."}


@APP.write(_CONFIRMATION)
def clear_queue(call: Call) -> Row:
    """Empty the queue."""
    _set_songs(call, "music_queue", {"user": call.user}, [])
    return {"message": "The queue is empty."}


@APP.read(_PLAYER)
def show_player(call: Call) -> Row:
    """What is playing, and how loud."""
    player = _player(call)
    song = None if player["song_id"] is None else _song_views_of(call, [player["song_id"]])[0]
    return view(player, _PLAYER, song=song)


@APP.write(_CONFIRMATION)
def play_song(call: Call, song_id: int) -> Row:
    """Play a song now; the queue stays."""
    song = music_row(call, "song", song_id)
    call.db.update("music_players", call.user, song_id=song_id, playing=True)
    return {"message": f"Playing {song['title']}."}


@APP.write(_CONFIRMATION)
def next_song(call: Call) -> Row:
    """Play the first song of the queue."""
    songs = _queue(call)
    if not songs:
        raise ApiFailure(409, "The queue is empty; use add_to_queue first.")
    call.db.update("music_players", call.user, song_id=songs[0], playing=True)
    _set_songs(call, "music_queue", {"user": call.user}, songs[1:])
    return {"message": f"Playing {music_row(call, 'song', songs[0])['title']}."}


@APP.write(_CONFIRMATION)
def pause_music(call: Call) -> Row:
    """Stop playing for now."""
    if not _player(call)["playing"]:
        raise ApiFailure(409, "Nothing is playing.")
    call.db.update("music_players", call.user, playing=False)
    return {"message": "Paused."}


@APP.write(_CONFIRMATION)
def resume_music(call: Call) -> Row:
    """Go on playing the song that was paused."""
    player = _player(call)
    if player["song_id"] is None or player["playing"]:
        raise ApiFailure(409, "Nothing is paused; use play_song or next_song.")
    call.db.update("music_players", call.user, playing=True)
    return {"message": "Playing on."}


@APP.write(_CONFIRMATION)
def set_volume(call: Call, volume: Volume) -> Row:
    """Set how loud the player is."""
    call.db.update("music_players", call.user, volume=volume)
    return {"message": f"The volume is {volume}."}
