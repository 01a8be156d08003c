#!/usr/bin/env python3
"""Makes a varied, seeded set of messages: make_corpus.py DIR [SEED [COUNT]], or corpus() as a module.

Every message has CRLF line ends (broken ones excepted, see below), and the same seed gives the same
octets. Names say what a message is: NNNN-kind.eml. Kinds with "bare" have bare CR or LF, kinds with
"nul" have NUL octets: an MTA may change these on the way, LMTP and IMAP must not.
"""
import base64
import quopri
import os
import random
import sys

WORDS = ("the quick brown fox jumps over a lazy dog while mail servers keep every octet of the "
         "message safe and sound until somebody reads it").split()
FOREIGN = {
    "utf-8": "Grüße aus Köln, naïve café, Ελληνικά, Русский, 日本語のメール, עברית, 🙂",
    "iso-8859-1": "Grüße aus Köln, naïve café, señor",
    "iso-8859-15": "Preis: 5 €, Œuvre, Žižek",
    "windows-1252": "“Smart quotes” – and € signs",
    "koi8-r": "Привет из Москвы",
    "iso-2022-jp": "日本語のメール、テスト",
    "shift_jis": "日本語のメール、テスト",
    "euc-jp": "日本語のメール、テスト",
    "gb18030": "简体中文邮件测试",
    "big5": "繁體中文郵件測試",
    "euc-kr": "한국어 메일 시험",
    "utf-7": "Grüße, 日本",
}
BIG_SIZE = 25 * 1000 * 1000


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.serial = 0

    # -- small pieces --

    def words(self, n):
        return " ".join(self.random.choice(WORDS) for _ in range(n))

    def text(self, lines):
        return "".join(self.words(self.random.randint(1, 12)) + "\r\n" for _ in range(lines)).encode()

    def octets(self, n):
        return self.random.randbytes(n)

    def boundary(self):
        return "=_%s" % self.random.randbytes(self.random.choice([6, 12, 20])).hex()

    def encoded_word(self, charset=None, form=None):
        """RFC 2047."""
        charset = charset or self.random.choice(sorted(FOREIGN))
        raw = FOREIGN[charset].encode(charset)
        if (form or self.random.choice("BQ")) == "B":
            return "=?%s?B?%s?=" % (charset, base64.b64encode(raw[:42]).decode())
        coded = "".join(chr(c) if chr(c).isalnum() and c < 128 else "_" if c == 32 else "=%02X" % c
                        for c in raw[:20])
        return "=?%s?Q?%s?=" % (charset, coded)

    def address(self):
        name = self.random.choice(["", "Jane Doe ", '"Doe, Jane" ', self.encoded_word() + " ",
                                   '"a \\"quoted\\" name" ', "J\\. (comment (nested)) "])
        return "%s<%s.%d@example.%s>" % (name, self.random.choice(WORDS), self.random.randint(1, 99),
                                         self.random.choice(["com", "net", "org"]))

    def headers(self, subject=None, extra=""):
        self.serial += 1
        r = self.random
        lines = ["Received: from host%d.example.net (host%d.example.net [192.0.2.%d])\r\n"
                 "\tby mx.example.org (MTA) with ESMTPS id %06X;\r\n"
                 "\tTue, %d Nov 2026 %02d:%02d:%02d +0100\r\n"
                 % (r.randint(1, 9), r.randint(1, 9), r.randint(1, 250), self.serial + 0xA00000,
                    r.randint(1, 28), r.randint(0, 23), r.randint(0, 59), r.randint(0, 59)),
                 "From: %s\r\n" % self.address(),
                 "To: %s\r\n" % ",\r\n\t".join(self.address() for _ in range(r.randint(1, 5))),
                 "Subject: %s\r\n" % (subject if subject is not None else self.words(r.randint(1, 9))),
                 "Date: Tue, %d Nov 2026 %02d:00:00 +0%d00\r\n" % (r.randint(1, 28), r.randint(0, 23),
                                                                  r.randint(0, 9)),
                 "Message-ID: <%d.%s@example.net>\r\n" % (self.serial, r.randbytes(6).hex())]
        if r.random() < 0.4:
            lines.append("Cc: %s\r\n" % self.address())
        if r.random() < 0.4:
            lines.append("In-Reply-To: <%s@example.net>\r\n" % r.randbytes(4).hex())
            lines.append("References: %s\r\n" % "\r\n\t".join(
                "<%s@example.net>" % r.randbytes(4).hex() for _ in range(r.randint(1, 8))))
        first, rest = lines[0], lines[1:]
        r.shuffle(rest)
        return (first + "".join(rest) + extra).encode()

    # -- MIME parts: header fields, empty line and content --

    def leaf(self):
        r = self.random
        charset = r.choice(sorted(FOREIGN))
        raw = (FOREIGN[charset] + "\r\n").encode(charset) * r.randint(1, 8)
        kind = r.choice(["plain", "qp", "base64", "html", "attachment", "2231", "empty"])
        head = "Content-Type: text/plain; charset=%s\r\n" % charset
        if kind == "plain":
            return b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" + self.text(r.randint(1, 20))
        if kind == "qp":
            coded = quopri.encodestring(raw.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
            return head.encode() + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + coded
        if kind == "base64":
            return head.encode() + b"Content-Transfer-Encoding: BASE64\r\n\r\n" + self.base64(raw)
        if kind == "html":
            return b'Content-Type: text/html; charset="utf-8"\r\n\r\n<p>' + self.text(3) + b"</p>\r\n"
        if kind == "attachment":
            name = r.choice(["file.bin", "a b.pdf", 'q\\"uote.txt'])
            return ('Content-Type: application/octet-stream; name="%s"\r\n'
                    "Content-Transfer-Encoding: base64\r\nContent-ID: <%s@x>\r\n"
                    'Content-Disposition: attachment; filename="%s"; size=1\r\n'
                    "Content-Description: %s\r\nContent-Language: en, de\r\nContent-MD5: Q2hlY2s=\r\n\r\n"
                    % (name, r.randbytes(4).hex(), name, self.encoded_word())).encode() + \
                self.base64(self.octets(r.randint(0, 9000)))
        if kind == "2231":
            return (b"Content-Type: image/png;\r\n name*0*=UTF-8''Gr%C3%BC;\r\n name*1*=%C3%9Fe%20;\r\n"
                    b" name*2=\"plain.png\"\r\nContent-Disposition: inline;\r\n"
                    b" filename*=iso-8859-1'de'Gr%FC%DFe.png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                    + self.base64(self.octets(700)))
        return b"Content-Type: text/plain\r\n\r\n"

    @staticmethod
    def base64(raw):
        return base64.encodebytes(raw).replace(b"\n", b"\r\n")

    def multipart(self, depth):
        r = self.random
        boundary = self.boundary()
        kind = r.choice(["mixed", "alternative", "related", "digest", "parallel", "report", "signed"])
        out = ('Content-Type: multipart/%s;\r\n boundary="%s"\r\n\r\n' % (kind, boundary)).encode()
        out += self.text(1) if r.random() < 0.5 else b""
        for _ in range(r.randint(1, 4)):
            out += ("\r\n--%s\r\n" % boundary).encode() + self.part(depth - 1)
        out += ("\r\n--%s--\r\n" % boundary).encode()
        return out + (self.text(1) if r.random() < 0.3 else b"")

    def part(self, depth):
        kind = self.random.random()
        if depth > 0 and kind < 0.35:
            return self.multipart(depth)
        if depth > 0 and kind < 0.55:
            return b"Content-Type: message/rfc822\r\n\r\n" + self.whole(depth - 1)
        return self.leaf()

    def whole(self, depth):
        return self.headers(extra="MIME-Version: 1.0\r\n") + self.part(depth)

    # -- kinds of messages --

    def plain(self):
        return self.headers() + b"\r\n" + self.text(self.random.randint(0, 60))

    def encoded_headers(self):
        subject = "\r\n ".join(self.encoded_word() for _ in range(self.random.randint(1, 5)))
        return self.headers(subject) + b"\r\n" + self.text(3)

    def encoding(self):
        return self.headers(extra="MIME-Version: 1.0\r\n") + self.leaf()

    def nested(self):
        return self.whole(self.random.randint(2, 6))

    def rfc822(self):
        out = self.headers(extra="MIME-Version: 1.0\r\n")
        for _ in range(self.random.randint(1, 8)):
            out += b"Content-Type: message/rfc822\r\n\r\n" + self.headers(extra="MIME-Version: 1.0\r\n")
        return out + b"\r\n" + self.text(4)

    def eight_bit(self):
        charset = self.random.choice(sorted(FOREIGN))
        raw = (FOREIGN[charset] + "\r\n").encode(charset) * self.random.randint(1, 30)
        return self.headers(extra="MIME-Version: 1.0\r\nContent-Type: text/plain; charset=%s\r\n"
                            "Content-Transfer-Encoding: 8bit\r\n" % charset) + b"\r\n" + raw

    def eight_bit_headers(self):
        return self.headers() + "X-Raw: Grüße 日本\r\n".encode() + b"X-Latin: \xe9\xff\xfe\r\n\r\n" + \
            self.text(2)

    def dots(self):
        lines = [b".", b"..", b".leading", b"...", b". ", b"From here", b">From there", b"", b".\t"]
        self.random.shuffle(lines)
        return self.headers() + b"\r\n" + b"\r\n".join(lines * self.random.randint(1, 5)) + b"\r\n"

    def no_body(self):
        return self.headers() + self.random.choice([b"\r\n", b""])

    def long_header(self):
        value = "\r\n ".join(self.words(12) for _ in range(self.random.randint(20, 300)))
        return self.headers(extra="X-Long: %s\r\n" % value) + b"\r\n" + self.text(2)

    def whitespace(self):
        return self.headers(extra="X-Folded:\r\n \r\n\t \r\n value  \t\r\nX-Empty:\r\nX-Spaces:   \r\n") \
            + b"\r\n  leading\r\ntrailing  \t \r\n\r\n\r\n\t\r\n"

    def many_parts(self):
        boundary = self.boundary()
        out = self.headers(extra="MIME-Version: 1.0\r\n") + \
            ("Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n" % boundary).encode()
        out += b"".join(("--%s\r\n\r\npart %d\r\n" % (boundary, i)).encode()
                        for i in range(self.random.randint(50, 400)))
        return out + ("--%s--\r\n" % boundary).encode()

    def broken_boundary(self):
        out = self.headers(extra="MIME-Version: 1.0\r\n") + self.multipart(3)
        return out[:self.random.randint(len(out) // 2, len(out))].rstrip(b"\r\n") + b"\r\n"

    def broken_headers(self):
        return self.headers(subject="=?utf-8?B?%%%broken?= =?nosuch?Q?=ZZ?= =?utf-8?X?a?=") + (
            b"NoColonHere\r\nContent-Type: multipart/mixed; boundary=\r\nContent-Type: text/plain\r\n"
            b"Content-Type: ;;;==\"\r\nContent-Transfer-Encoding: x-unknown\r\nDate: not a date\r\n"
            b"To: <<>>,,;:@\"\r\nTo: group: a@b.example, c@d.example;\r\nCc: undisclosed-recipients:;\r\n"
            b"\r\n--\r\n") + self.text(2)

    def no_headers(self):
        return self.headers()[:0] + b"\r\n" + self.text(3)

    def broken_base64(self):
        return self.headers(extra="MIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
                            "Content-Transfer-Encoding: base64\r\n") + \
            b"\r\n!!!not*base64===\r\nQUJD\r\n=\r\nQ\r\n"

    def long_line(self):
        return self.headers() + b"\r\n" + b"x" * self.random.randint(999, 5000) + b"\r\nend\r\n"

    def deep(self):
        """More levels than any reader wants to follow."""
        out = self.headers(extra="MIME-Version: 1.0\r\n")
        for i in range(300):
            out += ("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i)).encode()
        return out + b"\r\nbottom\r\n"

    def bare_lf(self):
        return self.headers() + b"\r\nline one\nline two\n.\nline three\r\n\n\n.\n"  b"end\r\n"

    def bare_cr(self):
        return self.headers() + b"\r\nline one\rline two\r.\r\rline three\r\nend\r\n"

    def nul(self):
        return self.headers() + b"\r\nbefore\0after\r\n\0\0\r\n" + bytes(range(1, 10)) + b"\r\n"

    def no_final_newline(self):
        return self.headers() + b"\r\nno end of line"

    def big(self):
        out = self.headers("25 MB", "MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
                           "Content-Transfer-Encoding: base64\r\n") + b"\r\n"
        return out + self.base64(self.octets(BIG_SIZE * 57 // 78))


KINDS = [("plain", 30), ("encoded_headers", 30), ("encoding", 50), ("nested", 70), ("rfc822", 20),
         ("eight_bit", 25), ("eight_bit_headers", 5), ("dots", 12), ("no_body", 4), ("long_header", 6),
         ("whitespace", 4), ("many_parts", 5), ("broken_boundary", 25), ("broken_headers", 5),
         ("no_headers", 2), ("broken_base64", 4), ("long_line", 4), ("deep", 1), ("bare_lf", 4),
         ("bare_cr", 4), ("nul", 4), ("no_final_newline", 3)]


def corpus(seed=1, count=320, big=True):
    """A list of (name, octets)."""
    maker = Maker(seed)
    names = [kind for kind, weight in KINDS for _ in range(max(1, weight * count // 317))]
    maker.random.shuffle(names)
    made = [("%04d-%s" % (i, kind.replace("_", "-")), getattr(maker, kind)())
            for i, kind in enumerate(names)]
    if big:
        made.append(("%04d-big" % len(made), maker.big()))
    return made


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    made = corpus(*(int(x) for x in sys.argv[2:4]))
    for name, data in made:
        with open(os.path.join(folder, name + ".eml"), "wb") as f:
            f.write(data)
    print("%d messages, %d octets" % (len(made), sum(len(d) for _, d in made)))


if __name__ == "__main__":
    main()
