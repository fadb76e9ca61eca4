"""The letters of the sample mailbox, by conversation."""

from __future__ import annotations

from datetime import timedelta as ago

from deploy.sample_mail.letter import ME, Attachment, Letter, pdf, png

BOB = "Bob Okafor <bob@example.test>"
CHIARA = "Chiara Rossi <chiara@example.test>"
EMI = "佐藤 恵美 <emi@example.jp>"
DMITRI = "Дмитрий Орлов <dmitri@example.ru>"
FATIMA = "فاطمة الزهراء <fatima@example.net>"
GEORG = "Jörg Huber <joerg@example.de>"
HELENE = "Hélène Dupré <helene@example.fr>"
LIST = "Lighthouse Keepers <keepers@lists.example.org>"
LIST_HEADERS = (
    ("List-Id", "Lighthouse Keepers <keepers.lists.example.org>"),
    ("List-Post", "<mailto:keepers@lists.example.org>"),
    ("List-Unsubscribe", "<https://lists.example.org/keepers/leave>"),
)

UNREAD: tuple[str, ...] = ()
ANSWERED = ("\\Seen", "\\Answered")
STARRED = ("\\Seen", "\\Flagged")

SUNSET = png(160, 90, lambda x, y: (255, min(255, 90 + y), min(255, 40 + y * 2 + x // 8)))
LOGO = png(
    48, 48, lambda x, y: (30, 110, 200) if (x - 24) ** 2 + (y - 24) ** 2 < 484 else (255,) * 3
)
BUDGET = b"item,planned,spent\r\nlamp room,4200,3980\r\npaint,650,702\r\nboat hire,300,120\r\n"
INVITATION = b"""BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//example.test//Sample//EN\r
METHOD:REQUEST\r
BEGIN:VEVENT\r
UID:open-day@example.test\r
DTSTAMP:20260101T090000Z\r
DTSTART:20260620T100000Z\r
DTEND:20260620T160000Z\r
SUMMARY:Open day at the lighthouse\r
ORGANIZER:mailto:bob@example.test\r
ATTENDEE:mailto:alice@example.test\r
END:VEVENT\r
END:VCALENDAR\r
"""

RESTORATION = [
    Letter(
        key="lamp-1",
        age=ago(days=9),
        sender=BOB,
        to=ME,
        cc=CHIARA,
        subject="The lamp room before summer",
        text="Hi both,\n\nthe lamp room leaks again. If we want visitors in June, we start now.\n"
        "Shall I ask the roofer?\n\nBob\n",
        flags=ANSWERED,
    ),
    Letter(
        key="lamp-2",
        age=ago(days=8, hours=20),
        to=BOB,
        cc=CHIARA,
        subject="Re: The lamp room before summer",
        text="Yes, please do. And ask for two prices: with the gallery and without it.\n\nAlice\n\n"
        "> Shall I ask the roofer?\n",
        mailbox="Sent",
        answers="lamp-1",
    ),
    Letter(
        key="lamp-3",
        age=ago(days=6),
        sender=CHIARA,
        cc=BOB,
        subject="Re: The lamp room before summer",
        text="I made a first budget, see the file. Paint is dearer than last year.\n\nChiara\n",
        answers="lamp-2",
        attachments=(Attachment("budget.csv", "text/csv", BUDGET),),
        flags=STARRED,
    ),
    Letter(
        key="lamp-4",
        age=ago(days=2, hours=3),
        sender=BOB,
        cc=CHIARA,
        subject="Re: The lamp room before summer",
        text="The roofer's offer is attached. I would take the gallery as well.\n\nBob\n",
        answers="lamp-3",
        attachments=(
            Attachment("offer.pdf", "application/pdf", pdf("Offer: lamp room and gallery")),
            Attachment("view from the gallery.png", "image/png", SUNSET),
        ),
        flags=("\\Seen", "$Important"),
    ),
    Letter(
        key="lamp-5",
        age=ago(minutes=50),
        sender=CHIARA,
        to=BOB,
        cc=ME,
        subject="Re: The lamp room before summer",
        text="Agreed, with the gallery. Alice, can you sign it today?\n\nChiara\n",
        answers="lamp-4",
        flags=UNREAD,
    ),
    Letter(
        key="open-day",
        age=ago(days=1, hours=6),
        sender=BOB,
        subject="Invitation: open day at the lighthouse",
        text="20 June, 10:00 to 16:00 UTC. Cake is on me.\n",
        html="<p><b>20 June</b>, 10:00 to 16:00 UTC.<br>Cake is on me.</p>",
        attachments=(Attachment("invite.ics", "text/calendar", INVITATION),),
        flags=UNREAD,
    ),
]

LANGUAGES = [
    Letter(
        key="emi-1",
        age=ago(days=3, hours=2),
        sender=EMI,
        subject="灯台の写真をありがとう",
        text="アリスさん\n\n素敵な写真をありがとうございました。夏に伺うのを楽しみにしています。\n\n恵美\n",
        charset="iso-2022-jp",
    ),
    Letter(
        key="dmitri-1",
        age=ago(days=12),
        sender=DMITRI,
        subject="Чертежи маяка",
        text="Алиса, добрый день!\n\nНашёл старые чертежи 1904 года, отправлю копии на неделе.\n\n"
        "Дмитрий\n",
        charset="koi8-r",
        flags=STARRED,
    ),
    Letter(
        key="fatima-1",
        age=ago(days=4),
        sender=FATIMA,
        subject="زيارة المنارة",
        text="مرحباً أليس،\n\nهل يمكننا زيارة المنارة في شهر يونيو؟\n\nمع التحية\nفاطمة\n",
        html='<div dir="rtl"><p>مرحباً أليس،</p><p>هل يمكننا زيارة المنارة في شهر يونيو؟</p></div>',
        flags=UNREAD,
    ),
    Letter(
        key="joerg-1",
        age=ago(days=15),
        sender=GEORG,
        subject="Grüße von der Küste – und eine Frage",
        text="Liebe Alice,\n\nder Sturm hat uns verschont. Wer hat\neure Linse geschliffen?\n"
        "\nSchöne Grüße\nJörg\n",
        charset="iso-8859-15",
        flags=ANSWERED,
    ),
    Letter(
        key="joerg-2",
        age=ago(days=14),
        to=GEORG,
        subject="Re: Grüße von der Küste – und eine Frage",
        text="Lieber Jörg,\n\nBarbier in Paris, 1897. Hélène hat die Rechnung gefunden!\n\nAlice\n",
        mailbox="Sent",
        answers="joerg-1",
    ),
    Letter(
        key="helene-1",
        age=ago(days=13, hours=5),
        sender=HELENE,
        cc=GEORG,
        subject="La facture de 1897 « Barbier & Cie »",
        text="Chère Alice,\n\nvoici la facture de l'optique : 14 000 francs à l'époque…\n"
        "\nBien à toi,\nHélène\n",
        attachments=(
            Attachment("Facture n° 12 – été 1897.pdf", "application/pdf", pdf("Facture 1897")),
        ),
    ),
    Letter(
        key="party",
        age=ago(hours=5),
        sender=BOB,
        subject="🎉 120 years! Party on Saturday 🎂",
        text="The lighthouse turns 120 on Saturday. Bring boots 🥾 and a song 🎶.\n",
        flags=UNREAD,
    ),
    Letter(
        key="greek",
        age=ago(days=20),
        sender="Ελένη Παππά <eleni@example.gr>",
        subject="Καλημέρα από τη Σύρο",
        text="Καλημέρα Αλίκη,\n\nο φάρος μας άναψε ξανά χθες το βράδυ!\n\nΕλένη\n",
        charset="iso-8859-7",
    ),
    Letter(
        key="chinese",
        age=ago(days=22),
        sender="李明 <li.ming@example.cn>",
        subject="关于灯塔博物馆的合作",
        text="您好，\n\n我们希望在秋季展览中展示您的灯塔照片。\n\n李明\n",
        charset="gb18030",
    ),
]

LISTS = [
    Letter(
        key="keepers-1",
        age=ago(days=5),
        sender="Ingrid Moe <ingrid@example.no>",
        to=LIST,
        subject="[keepers] Fog signals: who still has one?",
        text="Ours has been silent since 1988. I am collecting recordings.\n",
        headers=LIST_HEADERS,
    ),
    Letter(
        key="keepers-2",
        age=ago(days=4, hours=22),
        sender="Tom Keane <tom@example.ie>",
        to=LIST,
        subject="Re: [keepers] Fog signals: who still has one?",
        text="We do! A diaphone, tested every first of the month. The neighbours know.\n",
        answers="keepers-1",
        headers=LIST_HEADERS,
    ),
    Letter(
        key="keepers-3",
        age=ago(days=4, hours=21),
        to=LIST,
        subject="Re: [keepers] Fog signals: who still has one?",
        text="Only the compressor is left here. I can send you its plate.\n\nAlice\n",
        mailbox="Sent",
        answers="keepers-1",
    ),
    Letter(
        key="keepers-4",
        age=ago(hours=9),
        sender="Ingrid Moe <ingrid@example.no>",
        to=LIST,
        subject="Re: [keepers] Fog signals: who still has one?",
        text="Alice, yes please! And Tom, can I come with a microphone?\n",
        answers="keepers-3",
        headers=LIST_HEADERS,
        flags=UNREAD,
    ),
    Letter(
        key="newsletter",
        age=ago(hours=20),
        sender="Coastline Weekly <news@news.example.com>",
        subject="This week on the coast: tides, terns and a new path",
        text="Tides: spring tide on Thursday.\nTerns: back on the north beach.\n"
        "Path: open again.\n",
        html='<html><body><img src="cid:logo@example.com" alt="Coastline Weekly">'
        "<h1>This week on the coast</h1><ul><li><b>Tides</b>: spring tide on Thursday</li>"
        "<li><b>Terns</b>: back on the north beach</li><li><b>Path</b>: open again</li></ul>"
        "<style>h1 { color: #1e6ec8 }</style></body></html>",
        attachments=(Attachment("logo.png", "image/png", LOGO, cid="logo@example.com"),),
        headers=(("List-Unsubscribe", "<https://news.example.com/stop?u=1>"),),
        flags=UNREAD,
    ),
]

MACHINES = [
    Letter(
        key=f"backup-{days}",
        age=ago(days=days, hours=4),
        sender="Backup <root@nas.example.test>",
        subject=f"Backup finished: {38 + days} files, no errors",
        text=f"Started 02:00, finished 02:{10 + days}.\n{38 + days} files copied, 0 errors.\n",
        mailbox="Archive",
        headers=(("Auto-Submitted", "auto-generated"),),
    )
    for days in range(1, 11)
] + [
    Letter(
        key="receipt",
        age=ago(days=7),
        sender="Harbour Shop <orders@shop.example.com>",
        subject="Your receipt no. 20417",
        text="1 tin of white paint ........ 48.90\n1 brush ...................... 7.20\n",
        attachments=(Attachment("receipt-20417.pdf", "application/pdf", pdf("Receipt 20417")),),
    ),
    Letter(
        key="prize",
        age=ago(days=1),
        sender="Prize Department <winner@prizes.example.biz>",
        subject="You have been chosen!!!",
        text="Send us your password to claim your lighthouse.\n",
        mailbox="Junk",
        flags=("$Junk",),
    ),
]

OWN = [
    Letter(
        key="draft-1",
        age=ago(hours=2),
        to="Ingrid Moe <ingrid@example.no>",
        subject="Re: [keepers] Fog signals: who still has one?",
        text="Dear Ingrid,\n\nhere is the plate of the compressor. It says\n",
        mailbox="Drafts",
        answers="keepers-4",
        flags=("\\Seen", "\\Draft"),
    ),
    Letter(
        key="draft-2",
        age=ago(days=3),
        to="",
        subject="",
        text="Ideas for the open day: a treasure hunt, soup, the old lens lit by a candle\n",
        mailbox="Drafts",
        flags=("\\Seen", "\\Draft"),
    ),
    Letter(
        key="keys",
        age=ago(days=11),
        to=BOB,
        subject="The keys are under the third stone",
        text="Not the second one, that is the crab's.\n",
        mailbox="Sent",
        flags=STARRED,
    ),
    Letter(
        key="old-offer",
        age=ago(days=30),
        sender="Rope & Sail <hello@rope.example.com>",
        subject="Ten per cent off all ropes",
        text="Only this week.\n",
        mailbox="Trash",
    ),
    Letter(
        key="insurance",
        age=ago(days=200),
        sender="Mutual Insurance <service@insurance.example.com>",
        subject="Your policy for the coming year",
        text="Dear Ms Larsen,\n\nyour policy is attached. Nothing changes.\n",
        mailbox="Archive/Papers",
        attachments=(Attachment("policy.pdf", "application/pdf", pdf("Policy 7-1904")),),
    ),
    Letter(
        key="plans",
        age=ago(days=400),
        sender=DMITRI,
        subject="Fwd: plans of 1904",
        text="Two sheets are missing, I keep looking.\n",
        mailbox="Projekte/K&APw-ste",
        flags=STARRED,
    ),
]

LETTERS = [*RESTORATION, *LANGUAGES, *LISTS, *MACHINES, *OWN]
