"""What a mitra does in one session, from the first answer to the goodbye."""

from collections.abc import Callable
from typing import Any

from temani.demo.lines import ANSWERS, GOODBYES
from temani.demo.phone import Phone, Refused, Unreachable
from temani.demo.scenes import Scene
from temani.demo.talk import OVER, Talk
from temani.demo.talks import Talks

PLAIN = Scene("plain", "")


async def attend(phone: Phone, talks: Talks, talk: Talk) -> None:
    """Answer until the session is over."""
    world, answered = phone.world, 0
    while talk.state not in OVER:
        heard = sum(1 for one in talk.heard if one["sender_id"] != phone.user_id)
        if talk.state == "active" and heard > answered:
            answered = heard
            await world.think(0.2, 0.9)
            await talks.say(talk, world.rng.choice(ANSWERS))
            await talks.link.send("read", {"session_id": talk.session_id, "seq": talk.seq})
        for extension in list(talk.extensions.values()):
            await _answer_extension(phone, talks, talk, extension)
        if talk.state == "closing" and not talk.goodbye_said:
            talk.goodbye_said = True
            await world.think(0.1, 0.6)
            await talks.say(talk, world.rng.choice(GOODBYES))
        await talks.until(talk.session_id, _unlike(talk), seconds=3)


async def _answer_extension(
    phone: Phone, talks: Talks, talk: Talk, extension: dict[str, Any]
) -> None:
    id_ = str(extension["extension_id"])
    if extension["state"] != "requested" or id_ in talk.answered:
        return
    talk.answered.add(id_)
    scene = phone.world.scenes.get(talk.request_id, PLAIN)
    if scene.name == "extend_ignored":
        return
    await phone.world.think(0.2, 0.8)
    word = "decline" if scene.name == "extend_declined" else "accept"
    path = f"/api/mitra/chat/sessions/{talk.session_id}/extensions/{id_}/{word}"
    entry = phone.world.history.begin(
        phone.user_id, f"extension_{word}", session=talk.session_id, extension=id_
    )
    try:
        talks.note_extension(await phone.call("POST", path))
    except Refused as refused:
        entry.fail(refused.code)
    except Unreachable:
        entry.info("unreachable")
    else:
        entry.ok()


def _unlike(talk: Talk) -> Callable[[Talk], bool]:
    """Return what tells whether something happened in a talk that a mitra reacts to."""

    def look(now: Talk) -> tuple[object, ...]:
        answers = [(id_, one["state"]) for id_, one in now.extensions.items()]
        return (now.state, len(now.heard), *answers)

    before = look(talk)
    return lambda now: look(now) != before
