"""Passwords that guessers try first: common words, rows of the keyboard, counting, and the name of whoever it is.

A list of the ten thousand most common ones is in the main a short list of words with digits around them. So the words
are taken out, and what then remains has to be a password still.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_LEAST_REST = 5
"""Characters that must remain."""
_LEAST_DIFFERENT = 5

_LIST = """
password passwort passwd passw0rd passphrase kennwort contrasena motdepasse senha parola wachtwoord mima admin
administrator root user guest owner member login signin welcome willkommen bienvenue letmein changeme default secret
geheim access master server system computer internet network google facebook youtube linkedin microsoft windows
apple samsung android iphone oracle cisco github test testing tester temp temporary demo example sample hello hallo
bonjour hola nihao please thanks thankyou sorry trustno whatever nothing something blahblah nopass iloveyou loveyou
iloveu love lover loveme lovely mylove amour liebe schatz princess prince angel angels babygirl baby sweetheart
sweetie honey sunshine sunflower rainbow butterfly flower rose lily daisy summer winter spring autumn monday tuesday
wednesday thursday friday saturday sunday january february march april june july august september october november
december monkey dragon tiger lion eagle falcon shadow phoenix panther wolf bear horse dolphin kitten kitty puppy
doggie cat dog fish bird snake spider turtle rabbit chicken football baseball basketball soccer hockey tennis golf
cricket rugby swimming liverpool arsenal chelsea barcelona juventus yankees lakers cowboys steelers raiders eagles
giants broncos packers batman superman spiderman ironman starwars skywalker pokemon pikachu naruto matrix gandalf
merlin hunter killer ranger warrior ninja samurai pirate soldier captain chief legend hacker gamer player winner
champion michael jordan jennifer jessica michelle ashley nicole daniel andrew joshua matthew robert thomas charlie
george william david james john richard joseph anthony alexander alexandra amanda samantha elizabeth patrick maria
anna justin jackson taylor hannah sophie oliver jasper buster maggie ginger pepper cookie chocolate cheese banana
orange peanut coffee pizza cherry strawberry freedom america london paris berlin madrid china canada mexico brazil
india russia germany france england europe mustang ferrari porsche mercedes corvette yamaha harley honda toyota
camaro diamond silver golden gold platinum purple yellow green blue black white red scarlet crystal phantom thunder
lightning storm fire water jesus christ heaven godisgood blessed faith hope qwerty qwertz azerty asdf asdfgh
asdfghjkl zxcv zxcvbn zxcvbnm yxcvbnm qazwsx wsxedc edcrfv qweasd qweasdzxc poiuy mnbvc lkjhg uiop hjkl qwert asdfg
zxcvb abc abcd abcde abcdef abcdefg abcdefgh abcdefghi aaa bbb xxx zzz openai aigne gateway hub blocklet
"""
_WORDS = tuple(_LIST.split())

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890", "abcdefghijklmnopqrstuvwxyz", "1qaz2wsx3edc4rfv5tgb6yhn")
_LEAST_RUN = 4

_AS_LETTERS = str.maketrans("0134578@$!€", "oleastbasie")
_YEAR = re.compile(r"(19|20)\d\d")


def is_common(password: str, own: Iterable[str] = ()) -> bool:
    """Whether guessers would soon have it. `own` are words of whose password it is, such as their address."""
    plain = password.casefold()
    if len(set(plain)) < _LEAST_DIFFERENT:
        return True
    words = [*_WORDS, *(word for text in own for word in re.split(r"[^0-9a-z]+", text.casefold()) if len(word) > 2)]
    words.sort(key=len, reverse=True)
    return any(len(_rest(text, words)) < _LEAST_REST for text in (plain, plain.translate(_AS_LETTERS)))


def _rest(text: str, words: list[str]) -> str:
    for word in words:
        if len(word) > 2:
            text = text.replace(word, " ")
    text = _YEAR.sub(" ", text)
    text = _without_runs(text)
    # Said twice is said once.
    parts = dict.fromkeys(re.findall(r"[^\W_]+", text))
    return "".join(_once(part) for part in parts)


def _without_runs(text: str) -> str:
    """Without rows of the keyboard and counting, forwards and backwards."""
    for row in _ROWS:
        for way in (row, row[::-1]):
            for length in range(len(way), _LEAST_RUN - 1, -1):
                for start in range(len(way) - length + 1):
                    text = text.replace(way[start : start + length], " ")
    return re.sub(r"(.)\1{2,}", " ", text)


def _once(part: str) -> str:
    """`abcabcabc` → `abc`."""
    found = re.fullmatch(r"(.+?)\1+", part)
    return found[1] if found else part
