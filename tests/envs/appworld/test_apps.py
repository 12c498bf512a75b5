"""Every API: its result, its changes, and its failures."""

from __future__ import annotations

from typing import Any

import pytest

from agentgym_hindsight.envs.appworld.miniature import APPS, LOGIN_APPS, World
from tests.envs.appworld.hamlet import Agent

ACCOUNT_APIS = [f"{app}.{name}" for app in LOGIN_APPS for name in ("login", "logout", "show_account")]

# api, arguments (names in capitals stand for values of the world, see filled()), tables that change
SUCCESSES: list[tuple[str, dict[str, Any], set[str]]] = [
    ("supervisor.show_profile", {}, set()),
    ("supervisor.show_addresses", {}, set()),
    ("supervisor.show_payment_cards", {}, set()),
    ("supervisor.show_account_passwords", {}, set()),
    ("supervisor.show_active_task", {}, set()),
    ("supervisor.complete_task", {"answer": 3}, set()),
    ("api_docs.show_app_descriptions", {}, set()),
    ("api_docs.show_api_descriptions", {"app_name": "mail"}, set()),
    ("api_docs.show_api_doc", {"app_name": "mail", "api_name": "send_email"}, set()),
    ("api_docs.search_api_docs", {"query": "send money"}, set()),
    ("mail.show_emails", {"folder": "inbox", "read": False}, set()),
    ("mail.search_emails", {"query": "all WELL", "sender": "FRIEND", "until": "2021-01-01"}, set()),
    ("mail.show_email", {"email_id": 900}, set()),
    ("mail.show_thread", {"thread_id": 900}, set()),
    ("mail.show_attachment", {"email_id": 900, "name": "a.txt"}, set()),
    ("mail.send_email", {"recipients": ["FRIEND"], "subject": "Hi", "body": "Ho"}, {"mail_emails"}),
    ("mail.reply_to_email", {"email_id": 900, "body": "Ho", "reply_all": True}, {"mail_emails"}),
    ("mail.forward_email", {"email_id": 900, "recipients": ["OTHER"], "comment": "See"}, {"mail_emails"}),
    ("mail.create_draft", {"recipients": [], "subject": "Hi", "body": ""}, {"mail_emails"}),
    ("mail.update_draft", {"email_id": 902, "body": "New"}, {"mail_emails"}),
    ("mail.send_draft", {"email_id": 902}, {"mail_emails"}),
    ("mail.mark_email_read", {"email_id": 900}, {"mail_emails"}),
    ("mail.star_email", {"email_id": 900}, {"mail_emails"}),
    ("mail.move_email", {"email_id": 900, "folder": "archive"}, {"mail_emails"}),
    ("mail.delete_email", {"email_id": 900}, {"mail_emails"}),
    ("mail.show_labels", {}, set()),
    ("mail.add_label", {"email_id": 900, "label": "new"}, {"mail_emails"}),
    ("mail.remove_label", {"email_id": 902, "label": "x"}, {"mail_emails"}),
    ("phone.show_time", {}, set()),
    ("phone.show_contacts", {"query": "zed"}, set()),
    ("phone.show_contact", {"contact_id": 900}, set()),
    ("phone.show_relationships", {}, set()),
    ("phone.add_contact", {"name": "New One", "phone_number": "7654321"}, {"phone_contacts"}),
    ("phone.update_contact", {"contact_id": 900, "relationships": ["friend"]}, {"phone_contacts"}),
    ("phone.delete_contact", {"contact_id": 900}, {"phone_contacts"}),
    ("phone.show_messages", {"phone_number": "NUMBER"}, set()),
    ("phone.show_conversations", {}, set()),
    ("phone.send_message", {"phone_number": "NUMBER", "text": "Hello"}, {"phone_messages"}),
    ("phone.mark_message_read", {"message_id": 900}, {"phone_messages"}),
    ("phone.delete_message", {"message_id": 901}, {"phone_messages"}),
    ("phone.show_voicemails", {"heard": False}, set()),
    ("phone.mark_voicemail_heard", {"voicemail_id": 900}, {"phone_voicemails"}),
    ("phone.delete_voicemail", {"voicemail_id": 900}, {"phone_voicemails"}),
    ("phone.show_alarms", {"enabled": True}, set()),
    ("phone.create_alarm", {"time": "07:30", "days": ["Sun", "Mon"]}, {"phone_alarms"}),
    ("phone.update_alarm", {"alarm_id": 900, "enabled": False}, {"phone_alarms"}),
    ("phone.delete_alarm", {"alarm_id": 900}, {"phone_alarms"}),
    ("notes.show_notes", {"tag": "t"}, set()),
    ("notes.show_note", {"note_id": 900}, set()),
    ("notes.create_note", {"title": "New", "tags": ["b", "a"]}, {"notes_notes"}),
    ("notes.update_note", {"note_id": 900, "content": "two"}, {"notes_notes"}),
    ("notes.append_to_note", {"note_id": 900, "text": "two"}, {"notes_notes"}),
    ("notes.delete_note", {"note_id": 900}, {"notes_notes"}),
    ("notes.pin_note", {"note_id": 900}, {"notes_notes"}),
    ("notes.show_tags", {}, set()),
    ("notes.add_tag", {"note_id": 900, "tag": "u"}, {"notes_notes"}),
    ("notes.remove_tag", {"note_id": 900, "tag": "t"}, {"notes_notes"}),
    ("payments.show_balance", {}, set()),
    ("payments.add_money", {"amount": 5, "card_id": 900}, {"payments_accounts", "payments_transfers"}),
    ("payments.withdraw_money", {"amount": 5.25, "card_id": 900}, {"payments_accounts", "payments_transfers"}),
    ("payments.show_transfers", {}, set()),
    ("payments.show_transactions", {"direction": "sent", "person": "FRIEND", "max_amount": 1}, set()),
    ("payments.show_friends_feed", {}, set()),
    ("payments.show_transaction", {"transaction_id": 900}, set()),
    ("payments.send_money", {"receiver": "FRIEND", "amount": 5}, {"payments_accounts", "payments_transactions"}),
    ("payments.update_transaction", {"transaction_id": 900, "note": "tea"}, {"payments_transactions"}),
    ("payments.show_comments", {"transaction_id": 900}, set()),
    ("payments.comment_on_transaction", {"transaction_id": 900, "text": "Thanks"}, {"payments_comments"}),
    ("payments.delete_comment", {"comment_id": 900}, {"payments_comments"}),
    ("payments.search_users", {"query": "hamlet"}, set()),
    ("payments.show_friends", {}, set()),
    ("payments.add_friend", {"email": "STRANGER"}, {"payments_friends"}),
    ("payments.remove_friend", {"email": "BEFRIENDED"}, {"payments_friends"}),
    ("payments.show_cards", {}, set()),
    ("payments.add_card", {"name": "New", "number": "6" * 16, "expires_on": "2090-01-01"}, {"payments_cards"}),
    ("payments.delete_card", {"card_id": 900}, {"payments_cards"}),
    ("payments.show_payment_requests", {"status": "pending"}, set()),
    ("payments.request_money", {"payer": "FRIEND", "amount": 3.5, "note": "tea"}, {"payments_requests"}),
    (
        "payments.accept_payment_request",
        {"request_id": 900},
        {"payments_accounts", "payments_requests", "payments_transactions"},
    ),
    ("payments.deny_payment_request", {"request_id": 900}, {"payments_requests"}),
    ("payments.cancel_payment_request", {"request_id": 901}, {"payments_requests"}),
    ("calendar.show_events", {"since": "2020-01-01", "until": "2020-01-01"}, set()),
    ("calendar.show_event", {"event_id": 901}, set()),
    (
        "calendar.create_event",
        {"title": "New", "starts_at": "2030-01-01T10:00:00", "ends_at": "2030-01-01T11:00:00", "attendees": ["FRIEND"]},
        {"calendar_events", "calendar_attendees"},
    ),
    ("calendar.update_event", {"event_id": 900, "location": "Hall"}, {"calendar_events"}),
    ("calendar.delete_event", {"event_id": 900}, {"calendar_events", "calendar_attendees"}),
    ("calendar.invite_person", {"event_id": 900, "email": "FRIEND"}, {"calendar_attendees"}),
    ("calendar.uninvite_person", {"event_id": 900, "email": "OTHER"}, {"calendar_attendees"}),
    ("calendar.show_invitations", {}, set()),
    ("calendar.accept_invitation", {"event_id": 901}, {"calendar_attendees"}),
    ("calendar.decline_invitation", {"event_id": 901}, {"calendar_attendees"}),
    ("calendar.show_busy_times", {"email": "FRIEND", "day": "2020-01-01"}, set()),
    ("calendar.find_free_times", {"day": "2020-01-01", "minutes": 30}, set()),
    ("shop.show_departments", {}, set()),
    ("shop.search_products", {"query": "planted", "in_stock": True, "sort_by": "price_low"}, set()),
    ("shop.show_product", {"product_id": 900}, set()),
    ("shop.show_cart", {}, set()),
    ("shop.add_to_cart", {"product_id": 902, "quantity": 2}, {"shop_cart"}),
    ("shop.update_cart_item", {"product_id": 900, "quantity": 5}, {"shop_cart"}),
    ("shop.remove_from_cart", {"product_id": 900}, {"shop_cart"}),
    ("shop.clear_cart", {}, {"shop_cart"}),
    (
        "shop.place_order",
        {"address_id": 900, "card_id": 900},
        {"shop_cart", "shop_orders", "shop_order_items", "shop_products"},
    ),
    ("shop.show_orders", {"status": "placed"}, set()),
    ("shop.show_order", {"order_id": 900}, set()),
    ("shop.cancel_order", {"order_id": 903}, {"shop_orders", "shop_products"}),
    ("shop.show_returns", {}, set()),
    ("shop.start_return", {"order_id": 900, "product_id": 900}, {"shop_returns"}),
    ("shop.cancel_return", {"return_id": 900}, {"shop_returns"}),
    ("shop.show_wish_list", {}, set()),
    ("shop.add_to_wish_list", {"product_id": 900}, {"shop_wishes"}),
    ("shop.remove_from_wish_list", {"product_id": 901}, {"shop_wishes"}),
    ("shop.show_addresses", {}, set()),
    ("shop.add_address", {"name": "Barn", "street": "2 Row", "city": "Hamlet", "postcode": "2"}, {"shop_addresses"}),
    ("shop.show_cards", {}, set()),
    ("shop.add_card", {"name": "New", "number": "6" * 16, "expires_on": "2090-01-01"}, {"shop_cards"}),
    ("shop.show_reviews", {"product_id": 900, "rating": 3}, set()),
    ("shop.show_my_reviews", {}, set()),
    ("shop.write_review", {"product_id": 900, "rating": 4, "title": "Good"}, {"shop_reviews"}),
    ("shop.update_review", {"review_id": 902, "rating": 5}, {"shop_reviews"}),
    ("shop.delete_review", {"review_id": 902}, {"shop_reviews"}),
    ("files.show_directory", {"path": "/box"}, set()),
    ("files.search_files", {"query": "alpha", "directory": "/box"}, set()),
    ("files.show_file", {"path": "/box/a.txt"}, set()),
    ("files.check_path", {"path": "/nowhere"}, set()),
    ("files.create_file", {"path": "/box/b.txt", "content": "beta"}, {"files_entries"}),
    ("files.update_file", {"path": "/box/a.txt", "content": "beta"}, {"files_entries"}),
    ("files.append_to_file", {"path": "/box/a.txt", "text": "\nbeta"}, {"files_entries"}),
    ("files.delete_file", {"path": "/box/a.txt"}, {"files_entries"}),
    ("files.move_file", {"source": "/box/a.txt", "destination": "/b.txt"}, {"files_entries"}),
    ("files.copy_file", {"source": "/box/a.txt", "destination": "/b.txt"}, {"files_entries"}),
    ("files.create_directory", {"path": "/x/y/z", "parents": True}, {"files_entries"}),
    ("files.delete_directory", {"path": "/box", "recursive": True}, {"files_entries"}),
    ("files.move_directory", {"source": "/box", "destination": "/empty/box"}, {"files_entries"}),
    ("music.show_genres", {}, set()),
    ("music.search_songs", {"query": "planted", "genre": "folk", "sort_by": "plays"}, set()),
    ("music.show_song", {"song_id": 900}, set()),
    ("music.search_albums", {"query": "planted"}, set()),
    ("music.show_album", {"album_id": 900}, set()),
    ("music.search_artists", {"query": "planted"}, set()),
    ("music.show_artist", {"artist_id": 900}, set()),
    ("music.show_listening_history", {}, set()),
    ("music.show_liked_songs", {}, set()),
    ("music.like_song", {"song_id": 900}, {"music_likes"}),
    ("music.unlike_song", {"song_id": 901}, {"music_likes"}),
    ("music.show_saved_albums", {}, set()),
    ("music.save_album", {"album_id": 900}, {"music_saved_albums"}),
    ("music.remove_saved_album", {"album_id": "SAVED"}, {"music_saved_albums"}),
    ("music.show_followed_artists", {}, set()),
    ("music.follow_artist", {"artist_id": 900}, {"music_follows", "music_artists"}),
    ("music.unfollow_artist", {"artist_id": "FOLLOWED"}, {"music_follows", "music_artists"}),
    ("music.show_playlists", {"query": "planted"}, set()),
    ("music.search_public_playlists", {}, set()),
    ("music.show_playlist", {"playlist_id": 900}, set()),
    ("music.create_playlist", {"title": "New"}, {"music_playlists"}),
    ("music.update_playlist", {"playlist_id": 900, "public": True}, {"music_playlists"}),
    ("music.delete_playlist", {"playlist_id": 900}, {"music_playlists", "music_playlist_songs"}),
    ("music.add_song_to_playlist", {"playlist_id": 900, "song_id": 900}, {"music_playlist_songs"}),
    ("music.remove_song_from_playlist", {"playlist_id": 900, "song_id": 901}, {"music_playlist_songs"}),
    ("music.show_queue", {}, set()),
    ("music.add_to_queue", {"song_id": 900}, {"music_queue"}),
    ("music.clear_queue", {}, {"music_queue"}),
    ("music.show_player", {}, set()),
    ("music.play_song", {"song_id": 900}, {"music_players"}),
    ("music.next_song", {}, {"music_players", "music_queue"}),
    ("music.resume_music", {}, {"music_players"}),
    ("music.set_volume", {"volume": 7}, {"music_players"}),
]

# api, arguments, status, part of the message
REFUSALS: list[tuple[str, dict[str, Any], int, str]] = [
    ("api_docs.show_api_descriptions", {"app_name": "mial"}, 404, "Did you mean 'mail'?"),
    ("api_docs.show_api_doc", {"app_name": "mail", "api_name": "send_mail"}, 404, "Did you mean 'send_email'?"),
    ("mail.show_email", {"email_id": 9999}, 404, "no email with email_id 9999"),
    ("mail.show_email", {"email_id": 901}, 403, "not yours"),
    ("mail.show_thread", {"thread_id": 901}, 404, "no thread"),
    ("mail.show_attachment", {"email_id": 900, "name": "b.txt"}, 404, "its attachments: a.txt"),
    ("mail.send_email", {"recipients": [], "subject": "Hi", "body": ""}, 422, "at least one recipient"),
    ("mail.send_email", {"recipients": ["a@b.c"], "subject": "Hi", "body": ""}, 404, "Nobody in Hamlet"),
    ("mail.send_email", {"recipients": ["nobody"], "subject": "Hi", "body": ""}, 422, "an email address"),
    (
        "mail.send_email",
        {"recipients": ["ME"], "subject": "Hi", "body": "", "attachments": ["/x"]},
        401,
        "files_access",
    ),
    ("mail.reply_to_email", {"email_id": 902, "body": "Ho"}, 409, "use send_draft"),
    ("mail.update_draft", {"email_id": 900}, 409, "no draft"),
    ("mail.send_draft", {"email_id": 900}, 409, "no draft"),
    ("mail.move_email", {"email_id": 900, "folder": "inbox"}, 409, "already"),
    ("mail.move_email", {"email_id": 902, "folder": "inbox"}, 409, "only be moved to trash"),
    ("mail.add_label", {"email_id": 902, "label": "x"}, 409, "already"),
    ("mail.remove_label", {"email_id": 902, "label": "y"}, 404, "its labels: x"),
    ("phone.show_contact", {"contact_id": 901}, 403, "not yours"),
    ("phone.add_contact", {"name": "Again", "phone_number": "1234567"}, 409, "already"),
    ("phone.add_contact", {"name": "Again", "phone_number": "12-45"}, 422, "7 digits"),
    ("phone.update_contact", {"contact_id": 900, "phone_number": "NUMBER"}, 409, "is "),
    ("phone.send_message", {"phone_number": "0000000", "text": "x"}, 404, "Nobody in Hamlet"),
    ("phone.send_message", {"phone_number": "MY_NUMBER", "text": "x"}, 409, "your own number"),
    ("phone.send_message", {"phone_number": "NUMBER", "text": " "}, 422, "at least one character"),
    ("phone.mark_message_read", {"message_id": 901}, 403, "only who got it"),
    ("phone.mark_message_read", {"message_id": 902}, 403, "not yours"),
    ("phone.delete_message", {"message_id": 900}, 403, "only who sent it"),
    ("phone.delete_message", {"message_id": 9999}, 404, "no message"),
    ("phone.delete_voicemail", {"voicemail_id": 901}, 403, "not yours"),
    ("phone.create_alarm", {"time": "24:00"}, 422, "HH:MM"),
    ("phone.create_alarm", {"time": "07:00", "days": ["Sum"]}, 422, "Did you mean 'Sun'?"),
    ("phone.update_alarm", {"alarm_id": 901}, 403, "not yours"),
    ("notes.show_note", {"note_id": 901}, 403, "not yours"),
    ("notes.show_note", {"note_id": "900"}, 422, "Expected note_id as integer, got string '900'."),
    ("notes.create_note", {"title": "  "}, 422, "1 to 200 characters"),
    ("notes.append_to_note", {"note_id": 900, "text": "x" * 20_000}, 422, "20000"),
    ("notes.add_tag", {"note_id": 900, "tag": "t"}, 409, "already"),
    ("notes.remove_tag", {"note_id": 900, "tag": "u"}, 404, "its tags: t"),
    ("payments.add_money", {"amount": 5, "card_id": 902}, 409, "expired on 2020-01-01"),
    ("payments.withdraw_money", {"amount": 5000, "card_id": 900}, 409, "4900.00 too low"),
    ("payments.send_money", {"receiver": "FRIEND", "amount": 100.01}, 409, "0.01 too low"),
    ("payments.send_money", {"receiver": "FRIEND", "amount": 0.001}, 422, "whole cents"),
    ("payments.send_money", {"receiver": "FRIEND", "amount": -5}, 422, "0.01 to 100000"),
    ("payments.send_money", {"receiver": "ME", "amount": 5}, 409, "yourself"),
    ("payments.send_money", {"receiver": "FRIEND", "amount": 5, "card_id": 901}, 403, "not yours"),
    ("payments.show_transaction", {"transaction_id": 901}, 403, "private"),
    ("payments.show_transaction", {"transaction_id": 9999}, 404, "no transaction"),
    ("payments.update_transaction", {"transaction_id": 902}, 403, "only who made it"),
    ("payments.delete_comment", {"comment_id": 901}, 403, "not yours"),
    ("payments.add_friend", {"email": "ME"}, 409, "your own friend"),
    ("payments.add_friend", {"email": "BEFRIENDED"}, 409, "already"),
    ("payments.remove_friend", {"email": "STRANGER"}, 404, "not among your friends"),
    ("payments.add_card", {"name": "A", "number": "4" * 16, "expires_on": "2090-01-01"}, 409, "already"),
    ("payments.add_card", {"name": "A", "number": "12", "expires_on": "2090-01-01"}, 422, "16 digits"),
    ("payments.add_card", {"name": "A", "number": "1" * 16, "expires_on": "2090-13-01"}, 422, "YYYY-MM-DD"),
    ("payments.request_money", {"payer": "ME", "amount": 1}, 409, "yourself"),
    ("payments.accept_payment_request", {"request_id": 901}, 403, "not asked to pay"),
    ("payments.accept_payment_request", {"request_id": 902}, 409, "denied already"),
    ("payments.deny_payment_request", {"request_id": 903}, 403, "not asked to pay"),
    ("payments.cancel_payment_request", {"request_id": 900}, 403, "not the one who asked"),
    ("payments.cancel_payment_request", {"request_id": 9999}, 404, "no payment request"),
    ("calendar.show_event", {"event_id": 902}, 403, "not invited"),
    ("calendar.show_event", {"event_id": 9999}, 404, "no event"),
    ("calendar.update_event", {"event_id": 901, "title": "Mine"}, 403, "only they can change it"),
    ("calendar.update_event", {"event_id": 900, "ends_at": "2019-01-01T00:00:00"}, 422, "after starts_at"),
    ("calendar.delete_event", {"event_id": 901}, 403, "only they"),
    ("calendar.invite_person", {"event_id": 900, "email": "OTHER"}, 409, "already"),
    ("calendar.invite_person", {"event_id": 900, "email": "ME"}, 409, "need no invitation"),
    ("calendar.uninvite_person", {"event_id": 900, "email": "FRIEND"}, 404, "not invited"),
    ("calendar.accept_invitation", {"event_id": 900}, 409, "You organize"),
    ("calendar.find_free_times", {"day": "2020-01-01", "minutes": 30, "earliest": "19:00"}, 422, "latest after"),
    ("calendar.find_free_times", {"day": "2020-01-01", "minutes": 1}, 422, "5 to 720"),
    ("calendar.show_busy_times", {"email": "ME", "day": "9999-12-31"}, 422, "before 9999-12-31"),
    ("shop.show_product", {"product_id": 9999}, 404, "no product"),
    ("shop.add_to_cart", {"product_id": 901}, 409, "Only 0"),
    ("shop.add_to_cart", {"product_id": 900, "quantity": 5}, 409, "Only 5"),
    ("shop.add_to_cart", {"product_id": 900, "quantity": 0}, 422, "1 to 99"),
    ("shop.update_cart_item", {"product_id": 902, "quantity": 1}, 404, "not in your cart"),
    ("shop.remove_from_cart", {"product_id": 902}, 404, "not in your cart"),
    ("shop.place_order", {"address_id": 901, "card_id": 900}, 403, "address 901 is not yours"),
    ("shop.place_order", {"address_id": 900, "card_id": 902}, 409, "expired"),
    ("shop.show_order", {"order_id": 901}, 403, "not yours"),
    ("shop.cancel_order", {"order_id": 904}, 409, "is shipped"),
    ("shop.start_return", {"order_id": 903, "product_id": 902}, 409, "is placed"),
    ("shop.start_return", {"order_id": 900, "product_id": 901}, 404, "no product"),
    ("shop.start_return", {"order_id": 900, "product_id": 900, "quantity": 2}, 409, "only 1"),
    ("shop.cancel_return", {"return_id": 901}, 403, "not yours"),
    ("shop.add_to_wish_list", {"product_id": 901}, 409, "already"),
    ("shop.remove_from_wish_list", {"product_id": 900}, 404, "not on your wish list"),
    ("shop.add_address", {"name": "Shed", "street": "a", "city": "b", "postcode": "c"}, 409, "already"),
    ("shop.add_card", {"name": "A", "number": "4" * 16, "expires_on": "2090-01-01"}, 409, "already"),
    ("shop.write_review", {"product_id": 901, "rating": 3, "title": "A"}, 403, "was delivered"),
    ("shop.write_review", {"product_id": 902, "rating": 3, "title": "A"}, 409, "use update_review"),
    ("shop.write_review", {"product_id": 900, "rating": 6, "title": "A"}, 422, "1 to 5"),
    ("shop.delete_review", {"review_id": 901}, 403, "not yours"),
    ("files.show_file", {"path": "/box"}, 409, "is a directory, not a file"),
    ("files.show_file", {"path": "/box/../box/a.txt"}, 422, "a path such as"),
    ("files.show_directory", {"path": "/box/a.txt"}, 409, "not a directory"),
    ("files.create_file", {"path": "/no/b.txt"}, 404, "no directory '/no'"),
    ("files.create_file", {"path": "/box/a.txt"}, 409, "overwrite=True"),
    ("files.create_file", {"path": "/box", "overwrite": True}, 409, "already"),
    ("files.create_file", {"path": "/"}, 409, "root"),
    ("files.append_to_file", {"path": "/box/a.txt", "text": "x" * 20_000}, 422, "20000"),
    ("files.move_file", {"source": "/box/a.txt", "destination": "/box/a.txt"}, 409, "same path"),
    ("files.copy_file", {"source": "/box/b.txt", "destination": "/c"}, 404, "no file"),
    ("files.delete_directory", {"path": "/box"}, 409, "not empty"),
    ("files.create_directory", {"path": "/box"}, 409, "already"),
    ("files.create_directory", {"path": "/box/a.txt/b", "parents": True}, 409, "not a directory"),
    ("files.move_directory", {"source": "/box", "destination": "/box/in"}, 409, "into itself"),
    ("files.move_directory", {"source": "/box", "destination": "/" + "a" * 195}, 422, "at most 200"),
    ("music.show_song", {"song_id": 9999}, 404, "no song"),
    ("music.like_song", {"song_id": 901}, 409, "already"),
    ("music.unlike_song", {"song_id": 900}, 404, "have not liked"),
    ("music.remove_saved_album", {"album_id": 900}, 404, "have not saved"),
    ("music.unfollow_artist", {"artist_id": 900}, 404, "have not followed"),
    ("music.show_playlist", {"playlist_id": 901}, 403, "not yours"),
    ("music.show_playlist", {"playlist_id": 9999}, 404, "no playlist"),
    ("music.add_song_to_playlist", {"playlist_id": 900, "song_id": 901}, 409, "already"),
    ("music.remove_song_from_playlist", {"playlist_id": 900, "song_id": 900}, 404, "not in the playlist"),
    ("music.delete_playlist", {"playlist_id": 901}, 403, "not yours"),
    ("music.pause_music", {}, 409, "Nothing is playing"),
    ("music.set_volume", {"volume": 101}, 422, "0 to 100"),
]


def filled(world: World, arguments: dict[str, Any]) -> dict[str, Any]:
    """Replace the names in capitals by values of this world."""
    me = world.supervisor
    friend, other = world.related("friend")[:2]
    befriended = [row["friend"] for row in world.rows("payments_friends", user=me.email)]
    names: dict[str, Any] = {
        "ME": me.email,
        "MY_NUMBER": me.phone_number,
        "FRIEND": friend.email,
        "OTHER": other.email,
        "NUMBER": friend.phone_number,
        "BEFRIENDED": befriended[0],
        "STRANGER": next(p.email for p in world.people if p.email not in befriended and p != me),
        "SAVED": world.rows("music_saved_albums", user=me.email)[0]["album_id"],
        "FOLLOWED": world.rows("music_follows", user=me.email)[0]["artist_id"],
    }
    return {
        name: [names.get(item, item) for item in value]
        if isinstance(value, list)
        else names.get(value, value)
        if isinstance(value, str)
        else value
        for name, value in arguments.items()
    }


def fits(value: object, shape: Any) -> bool:
    """Return whether a result has the documented shape."""
    if isinstance(shape, dict):
        return isinstance(value, dict) and set(value) == set(shape) and all(fits(value[k], shape[k]) for k in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    if isinstance(shape, tuple):
        return value is None or fits(value, shape[0])
    return shape is object or type(value) is shape


@pytest.mark.parametrize("app", APPS)
def test_calls_return_the_documented_shape_and_change_the_expected_tables(agent: Agent, app: str) -> None:
    for api, arguments, tables in SUCCESSES:
        where, _, name = api.partition(".")
        if where != app:
            continue
        agent.reset()
        answer = agent(api, **filled(agent.world, arguments))
        assert fits(answer, APPS[app].apis[name].returns), (api, answer)
        # an empty result would match any list shape
        assert answer or api == "payments.show_transfers", api
        assert set(agent.world.delta()) == tables, api
        assert APPS[app].apis[name].writes == (bool(tables) or api == "supervisor.complete_task"), api


@pytest.mark.parametrize("app", [app for app in APPS if app != "supervisor"])
def test_failures_have_a_reason_and_change_nothing(agent: Agent, app: str) -> None:
    for api, arguments, status, words in REFUSALS:
        where, _, name = api.partition(".")
        if where != app:
            continue
        agent.reset()
        if APPS[app].apis[name].login:
            agent.login(app)
        before = agent.world.delta_key()
        got, message = agent.refusal(api, **filled(agent.world, arguments))
        assert got == status, (api, message)
        assert words in message, (api, message)
        assert agent.world.delta_key() == before, api
        assert not agent.world.delta(), api


def test_the_table_lists_every_api() -> None:
    named = {row[0] for row in SUCCESSES} | set(ACCOUNT_APIS) | {"music.pause_music"}
    assert {f"{app.name}.{api}" for app in APPS.values() for api in app.apis} == named
    assert {row[0].partition(".")[0] for row in REFUSALS} == set(APPS) - {"supervisor"}


def test_number_of_apps_and_apis() -> None:
    assert len(APPS) == 10
    assert sum(len(app.apis) for app in APPS.values()) == 191


# -- calls that depend on each other ------------------------------------------------------------------------------


def test_an_email_is_delivered_once_to_every_mailbox(agent: Agent) -> None:
    friend, other = (person.email for person in agent.world.related("friend")[:2])
    sent = agent("mail.send_email", recipients=[friend, other, friend], subject="Hi", body="Ho")
    added = agent.world.delta()["mail_emails"].added
    assert [(row["owner"], row["folder"], row["read"]) for row in added] == [
        (agent.world.supervisor.email, "sent", True),
        (friend, "inbox", False),
        (other, "inbox", False),
    ]
    assert sent["email_id"] == added[0]["id"]
    assert len({row["thread"] for row in added}) == 1
    assert agent("mail.show_thread", thread_id=added[0]["thread"])[0]["email_id"] == sent["email_id"]


def test_an_attachment_needs_the_token_of_the_files_app(agent: Agent) -> None:
    friend = agent.world.related("friend")[0].email
    mail: dict[str, Any] = {"recipients": [friend], "subject": "Hi", "body": "", "attachments": ["/box/a.txt"]}
    assert agent.refusal("mail.send_email", **mail, files_access_token=agent.login("mail"))[0] == 401
    email = agent("mail.send_email", **mail, files_access_token=agent.login("files"))["email_id"]
    assert agent("mail.show_attachment", email_id=email, name="a.txt")["content"] == "alpha"
    mail["attachments"] = ["/box/b.txt"]
    assert agent.refusal("mail.send_email", **mail, files_access_token=agent.login("files"))[0] == 404


def test_a_payment_changes_both_balances(agent: Agent) -> None:
    world, me = agent.world, agent.world.supervisor.email
    friend = world.related("friend")[0].email
    before = world.row("payments_accounts", user=friend)["balance"]
    agent("payments.send_money", receiver=friend, amount=30.10)
    assert world.row("payments_accounts", user=me)["balance"] == 69.9
    assert world.row("payments_accounts", user=friend)["balance"] == round(before + 30.10, 2)
    agent("payments.send_money", receiver=friend, amount=500, card_id=900)
    assert world.row("payments_accounts", user=me)["balance"] == 69.9
    agent("payments.accept_payment_request", request_id=900)
    assert agent.refusal("payments.accept_payment_request", request_id=900)[0] == 409
    assert agent("payments.show_balance") == {"balance": 67.9}


def test_an_order_lowers_the_stock_and_its_cancellation_restores_it(agent: Agent) -> None:
    agent("shop.update_cart_item", product_id=900, quantity=5)
    order = agent("shop.place_order", address_id=900, card_id=900)
    assert order["total"] == 25.0
    assert agent("shop.show_product", product_id=900)["stock"] == 0
    assert agent("shop.show_cart") == {"items": [], "total": 0.0}
    assert agent.refusal("shop.place_order", address_id=900, card_id=900) == (
        409,
        "Your cart is empty; use add_to_cart first.",
    )
    agent("shop.cancel_order", order_id=order["order_id"])
    assert agent("shop.show_product", product_id=900)["stock"] == 5
    assert "shop_products" not in agent.world.delta()


def test_overlapping_busy_times_are_joined(agent: Agent) -> None:
    times = [("09:30", "10:30"), ("09:40", "09:50"), ("10:00", "11:00"), ("13:00", "14:00"), ("13:15", "13:30")]
    for start, end in times:
        agent("calendar.create_event", title="x", starts_at=f"2040-05-05T{start}:00", ends_at=f"2040-05-05T{end}:00")
    busy = agent("calendar.show_busy_times", email=agent.world.supervisor.email, day="2040-05-05")
    assert [(span["starts_at"][11:16], span["ends_at"][11:16]) for span in busy] == [
        ("09:30", "11:00"),
        ("13:00", "14:00"),
    ]
    free = agent("calendar.find_free_times", day="2040-05-05", minutes=60, earliest="09:00", latest="17:00")
    assert [(span["starts_at"][11:16], span["ends_at"][11:16]) for span in free] == [
        ("11:00", "13:00"),
        ("14:00", "17:00"),
    ]


def test_a_directory_is_moved_with_its_content(agent: Agent) -> None:
    agent("files.create_directory", path="/boxes")  # a path with the same prefix is not inside
    agent("files.move_directory", source="/box", destination="/empty/box")
    paths = [entry["path"] for entry in agent("files.show_directory", path="/empty", recursive=True)]
    assert paths == ["/empty/box", "/empty/box/a.txt"]
    assert agent("files.check_path", path="/boxes") == {"exists": True, "kind": "directory"}
    assert agent("files.check_path", path="/box/a.txt") == {"exists": False, "kind": None}


def test_songs_after_a_removed_one_move_up(agent: Agent) -> None:
    songs = [song["song_id"] for song in agent("music.search_songs", page_limit=3)]
    new = agent("music.create_playlist", title="Mine")["playlist_id"]
    for song in songs:
        agent("music.add_song_to_playlist", playlist_id=new, song_id=song)
    agent("music.remove_song_from_playlist", playlist_id=new, song_id=songs[0])
    assert [song["song_id"] for song in agent("music.show_playlist", playlist_id=new)["songs"]] == songs[1:]
    assert [row["position"] for row in agent.world.rows("music_playlist_songs", playlist_id=new)] == [0, 1]


def test_the_player_plays_the_queue(agent: Agent) -> None:
    first = agent("music.show_queue")[0]["song_id"]
    agent("music.next_song")
    assert agent("music.show_player")["song"]["song_id"] == first
    agent("music.pause_music")
    assert agent("music.show_player")["playing"] is False
    agent("music.resume_music")
    agent("music.clear_queue")
    assert agent.refusal("music.next_song") == (409, "The queue is empty; use add_to_queue first.")
    for _ in range(100):
        agent("music.add_to_queue", song_id=900)
    assert agent.refusal("music.add_to_queue", song_id=900)[0] == 409


def test_the_answer_to_an_invitation_can_be_changed_but_not_repeated(agent: Agent) -> None:
    agent("calendar.accept_invitation", event_id=901)
    assert agent.refusal("calendar.accept_invitation", event_id=901)[0] == 409
    agent("calendar.decline_invitation", event_id=901)
    assert (
        agent.world.row("calendar_attendees", event_id=901, email=agent.world.supervisor.email)["status"] == "declined"
    )


def test_a_completed_task_can_no_longer_change(agent: Agent) -> None:
    agent("supervisor.complete_task", answer=["a", 2, 0.5], status="fail")
    assert (agent.world.completed, agent.world.answer) == ("fail", ["a", 2, 0.5])
    assert agent.refusal("notes.create_note", access_token="x" * 9, title="Late")[0] == 401
    assert agent.refusal("supervisor.complete_task")[0] == 409
    assert agent("supervisor.show_active_task")["instruction"] == "Tidy up."
