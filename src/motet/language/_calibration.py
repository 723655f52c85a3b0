"""Texts on which the ranges of the 8-bit model are measured; written for this, and varied on purpose."""

from __future__ import annotations

from typing import Final

__all__ = ["CALIBRATION_TEXTS"]

CALIBRATION_TEXTS: Final[tuple[str, ...]] = (
    "Toy Story (1995)",
    "Star Wars: Episode V – The Empire Strikes Back (1980)",
    "Comedy, Romance",
    "jazz",
    "wireless noise-cancelling headphones",
    "red shoes size 38",
    "USB-C to HDMI adapter 4K@60Hz, 1.8 m, braided, black",
    "likes science fiction and cooking shows [SEP] The Martian (2015) [SEP] Drama, Adventure",
    "A retired detective is pulled back into one last case when his former partner disappears in Lisbon.",
    "Two sisters inherit a bakery they never wanted and, slowly, a town they never knew they missed.",
    "I love this dress! It fits perfectly, the fabric is soft, and I got so many compliments at the wedding.",
    "Disappointed. The color was nothing like the photo, the seams came apart after one wash, and it runs "
    "at least two sizes small. I had to return it and pay for shipping myself.",
    "I usually wear a medium in this brand (5'4\", 130 lbs) and the medium was huge through the shoulders but "
    "tight at the hips. The print is gorgeous in person though, so I ordered the petite small and I am hoping "
    "it works out. The material is a bit thin and wrinkles easily, but for the sale price I can't complain. "
    "If you are busty, size up. If you are short, have it hemmed!",
    "Works as advertised. Five stars.",
    "DO NOT BUY!!! Broke on day 2. Customer service never answered.",
    "meh",
    "The sweater is warm and cozy without being bulky; I bought it in grey and went back for navy.",
    "Battery lasts about six hours, not ten. Sound is fine for podcasts, poor for music, and the case scratches.",
    "Great sandwiches, slow service, cash only. Go before noon if you want a table by the window.",
    "The hotel was clean and quiet, ten minutes on foot from the station; breakfast was included but basic.",
    "Central bank raises interest rates by a quarter point as inflation proves stubborn",
    "Local team wins 3-2 after extra time; captain says the injury is not serious",
    "How do I change the password of my account if I no longer have access to the old e-mail address?",
    "cheap flights from Berlin to Tokyo in October",
    "best restaurants near me open now",
    "An introduction to multi-task learning: shared representations, gradient conflict, and how to weigh losses.",
    "We prove that the estimator is consistent under mild regularity conditions and derive its asymptotic variance.",
    "The patient presented with a persistent cough, mild fever and shortness of breath on exertion for two weeks.",
    "Preheat the oven to 200 °C. Mix flour, sugar and butter, add two eggs, bake for 35 minutes, let it cool.",
    "This agreement is governed by the laws of the State of New York, without regard to conflict of laws.",
    "def mean(values): return sum(values) / len(values) if values else float('nan')",
    "SELECT user_id, COUNT(*) FROM clicks WHERE day >= '2024-01-01' GROUP BY user_id ORDER BY 2 DESC;",
    "Error 0x80070057: the parameter is incorrect. See https://example.com/help?id=42&lang=en for details.",
    "3.14159 2.71828 1.41421 0.57721",
    "SKU 00481-XL-BLK | EAN 4006381333931 | 12 pcs | 0.75 kg",
    "ACME Model X200 Stainless Steel Electric Kettle, 1.7 Litre, 2200 W, Auto Shut-Off, BPA-Free",
    "Organic fair-trade coffee beans from Ethiopia, medium roast, notes of bergamot, apricot and dark honey, 1 kg",
    "Men's waterproof hiking boots, leather, high cut, breathable membrane, sizes 40-47, brown",
    "Queen-size bamboo mattress with cooling gel memory foam, medium firm, 25 cm thick, ten-year warranty",
    "Die Lieferung kam pünktlich, aber die Schachtel war beschädigt und ein Teil fehlte.",
    "Le film est magnifique, porté par deux actrices bouleversantes et une musique inoubliable.",
    "El teléfono tiene una pantalla excelente, pero la batería dura muy poco.",
    "Un romanzo breve e luminoso sulla memoria, l'amicizia e il mare d'inverno.",
    "这部电影的剧情很精彩，演员的表演也非常出色。",
    "这件衣服的质量不错，但是颜色和图片不太一样。",
    "この本はとても面白かったので、友達にもすすめたいです。",
    "배송이 빠르고 품질이 좋아요. 다시 구매할게요.",
    "Отличный товар, доставка быстрая, всем рекомендую.",
    "المنتج ممتاز والتوصيل سريع",
    "बहुत अच्छा उत्पाद है, मुझे पसंद आया।",
    "Η ταινία ήταν υπέροχη από την αρχή ως το τέλος.",
    "So cute 😍😍 can't wait to wear it 🎉👗✨",
    "🔥🔥🔥",
    "!!! ??? ...",
    "a",
    "the the the the the the the the",
    "pneumonoultramicroscopicsilicovolcanoconiosis antidisestablishmentarianism",
    "It was the sort of morning on which nothing could be decided. Rain had come in from the sea before dawn "
    "and stayed, and the harbour, the warehouses and the long brick street behind them had gone the same grey. "
    "She read the letter a third time, folded it, and put it under the clock. If he came, he came; if he did "
    "not, there was still the roof to mend, the accounts to finish, and the boy to fetch from school at four.",
    "Our recommendation engine combines collaborative filtering with content understanding so that new items are "
    "shown to the right people from their first hour. It learns from clicks, purchases, ratings and watch time at "
    "once, adapts to every placement on your site, and explains each suggestion in plain words. Setup takes an "
    "afternoon: connect your logs, point it at your catalogue, and choose what you care about. No data leaves "
    "your machines, and you can export the trained model at any time.",
    "Runs large, scratchy wool, beautiful buttons",
    "perfect for fall with boots and leggings; very flattering, true to size, not see-through at all",
    "The waist hits at a strange place and the zipper sticks, yet everyone asks me where I bought this skirt.",
    "Age 34, teacher, enjoys drama and documentaries [SEP] Hoop Dreams (1994)",
    "Female, 25-34, student; watched: Amélie, Before Sunrise, Lost in Translation",
)
