from __future__ import annotations

from pathlib import Path

import pytest

from motet.datasets import fetch_asset
from motet.text.encode import CTranslate2Encoder
from motet.text.generate import GenerationSettings, LocalGenerator, Prompt

SENTENCES = (
    "Heat (1995)",
    "Before Sunset",
    "documentary about deep sea creatures",
    "gluten-free pasta 500 g",
    "Kids' rain jacket, yellow, age 6",
    "bluetooth speaker that survives a swim",
    "I wore it to a garden party and felt wonderful, although the straps needed to be shortened.",
    "The soles came off after three weeks, and nobody at the shop would take them back.",
    "Soft, light and warm. My mother stole it.",
    "Too expensive for what it is.",
    "Ordered the 10, needed the 8; otherwise a lovely summer dress with real pockets!",
    "A lonely clockmaker builds a bird that can tell the truth, and the town stops speaking to him.",
    "Three astronauts, one working radio, and eleven hours of air.",
    "An unlikely friendship between a piano teacher and a boxer in postwar Manchester.",
    "thriller, crime [SEP] a heist in Antwerp goes wrong",
    "What is the capital of Mongolia?",
    "how to remove red wine from a white carpet",
    "nearest pharmacy open on Sunday",
    "Shares of the chip maker fell nine percent after it cut its forecast for the year.",
    "Parliament votes to extend the school year by two weeks",
    "The committee could not agree on a date, so it agreed on a place instead.",
    "Photosynthesis converts light energy into chemical energy stored in glucose.",
    "We fine-tune the encoder with a contrastive loss on pairs of queries and clicked documents.",
    "Let G be a finite group and H a normal subgroup of prime index.",
    "Take one tablet twice a day with food, and avoid driving until you know how you react.",
    "for i in range(10): print(i ** 2)",
    "git rebase --interactive HEAD~3",
    "TypeError: unsupported operand type(s) for +: 'int' and 'str'",
    "1, 1, 2, 3, 5, 8, 13, 21, 34",
    "€ 1.299,00 inkl. MwSt.",
    "call me at 555-0199 after 6pm",
    "Das Buch ist spannend bis zur letzten Seite, aber das Ende hat mich enttäuscht.",
    "Une veste légère, parfaite pour les soirées d'été au bord de la mer.",
    "La cámara hace fotos preciosas incluso con poca luz.",
    "Ottimo rapporto qualità-prezzo, lo ricomprerei.",
    "O filme é longo demais, mas a fotografia compensa.",
    "手机电池很耐用，拍照效果也很好。",
    "快递很慢，包装破损，体验很差。",
    "夏にぴったりの涼しいシャツです。",
    "이 영화는 결말이 정말 인상적이었어요.",
    "Очень тёплая куртка, но рукава коротковаты.",
    "جودة القماش رائعة والمقاس مناسب",
    "😂😂😂 best purchase ever 💯",
    "❤️",
    "??",
    "x",
    "LOVE LOVE LOVE!!!",
    "supercalifragilisticexpialidocious",
    "She had meant to leave before the snow, but the trains were late, the letter had not come, and the old dog "
    "would not be moved from the stove; so she stayed a night, then a week, and by the time the road was clear "
    "she knew the name of every child in the village and which of them could not read. In March she wrote to "
    "the ministry and asked for books.",
    "This tent sleeps four on paper and two in life. It goes up in ten minutes, stands up to wind, and has "
    "pockets where you want them. In heavy rain the seams near the door let in a little water; a tube of sealant "
    "fixed that. The pegs are soft and bend in stony ground, so bring your own. For the price I would buy it "
    "again, and I would recommend it to anyone who camps a few weekends a year and does not mind the weight.",
)
"""None of them is among the texts on which the 8-bit model is calibrated."""


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    return list(SENTENCES)


@pytest.fixture(scope="session")
def model_folder() -> Path:
    return fetch_asset("all-MiniLM-L6-v2")


@pytest.fixture(scope="session")
def fast_encoder(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> CTranslate2Encoder:
    prepared = tmp_path_factory.mktemp("ctranslate2")
    encoder = CTranslate2Encoder(str(model_folder), max_tokens=256, prepared=prepared)
    encoder.encode(["the 8-bit model is made now, not within somebody's time-out"])
    return encoder


@pytest.fixture(scope="session")
def local_generator() -> LocalGenerator:
    generator = LocalGenerator()
    generator.generate(
        [Prompt("loaded now, not within somebody's time-out")], GenerationSettings(max_tokens=1)
    )
    return generator
