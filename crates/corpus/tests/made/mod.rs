//! Pages that the project makes: Korean and English articles by rule, with menus around them, and planted among them copies,
//! near copies, spam, personal data and damage. All of it is invented.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Numbers that a seed decides (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

const KO_WHO: &[&str] = &[
    "마을 도서관은",
    "우리 연구실은",
    "작은 서점은",
    "시립 박물관은",
    "동네 빵집은",
    "산림 조합은",
    "어촌 계장은",
    "젊은 농부는",
    "초등학교 교사는",
    "기상 관측소는",
    "지역 신문사는",
    "목공소 주인은",
    "등산 동호회는",
    "자전거 수리공은",
    "도시 농장은",
    "합창단 단원들은",
];
const KO_WHEN: &[&str] = &[
    "지난 봄부터",
    "올해 여름에",
    "가을 축제를 앞두고",
    "눈이 많이 내린 겨울에",
    "매주 토요일 아침마다",
    "해가 지고 나면",
    "장마가 끝난 뒤에",
    "새 학기가 시작될 때",
    "이른 새벽에",
    "한 달에 두 번씩",
    "긴 연휴 동안",
    "첫 서리가 내리기 전에",
];
const KO_WHAT: &[&str] = &[
    "오래된 지도를",
    "손으로 적은 기록을",
    "새로 만든 안내판을",
    "바닷물의 온도를",
    "강가의 풀과 나무를",
    "아이들이 그린 그림을",
    "고장 난 기계를",
    "마을의 옛 이야기를",
    "직접 기른 채소를",
    "별자리의 움직임을",
    "나무로 만든 의자를",
    "비에 젖은 책들을",
    "폐품으로 만든 악기를",
    "산길의 표지를",
];
const KO_HOW: &[&str] = &[
    "조심스럽게",
    "이웃들과 함께",
    "하나씩 차례대로",
    "며칠에 걸쳐",
    "정성을 다해",
    "아무도 모르게",
    "큰 소리로 설명하며",
    "사진으로 남기면서",
    "숫자를 확인해 가며",
    "처음부터 다시",
    "서로 도우며",
    "작은 수첩에 적어 가며",
];
const KO_DID: &[&str] = &[
    "정리했다고 한다",
    "고쳐서 다시 쓰고 있다",
    "모아서 전시하기로 했다",
    "살펴보고 결과를 발표했다",
    "이웃에게 나누어 주었다",
    "기록하여 책으로 엮었다",
    "옮겨 심는 일을 마쳤다",
    "새로 꾸미는 계획을 세웠다",
    "비교하며 배우고 있다",
    "찾아내어 제자리에 돌려놓았다",
    "소개하는 모임을 열었다",
];
const EN_WHO: &[&str] = &[
    "village library",
    "small laboratory",
    "retired carpenter",
    "harbour master",
    "young farmer",
    "weather station",
    "local choir",
    "city museum",
    "bicycle workshop",
    "school on the hill",
    "group of walkers",
    "printing house",
    "town archive",
    "rowing club",
    "night baker",
    "glass blower",
];
const EN_DID: &[&str] = &[
    "collected",
    "repaired",
    "described",
    "measured",
    "exhibited",
    "catalogued",
    "painted",
    "compared",
    "restored",
    "photographed",
    "explained",
    "numbered",
    "copied",
    "weighed",
    "translated",
    "borrowed",
];
const EN_KIND: &[&str] = &[
    "forgotten",
    "wooden",
    "heavy",
    "colourful",
    "narrow",
    "silent",
    "curious",
    "broken",
    "round",
    "ancient",
    "borrowed",
    "bright",
    "crooked",
    "hollow",
    "famous",
    "gentle",
    "rusty",
    "tiny",
    "unfinished",
    "windy",
];
const EN_WHAT: &[&str] = &[
    "maps",
    "letters",
    "tools",
    "chairs",
    "songs",
    "drawings",
    "rivers",
    "machines",
    "streets",
    "books",
    "paths",
    "instruments",
    "vegetables",
    "bridges",
    "towers",
    "gardens",
    "boats",
    "lamps",
    "windows",
    "stories",
    "coins",
    "bells",
    "kites",
    "shells",
];
const EN_HOW: &[&str] = &[
    "with help from neighbours",
    "one after another",
    "during a long winter",
    "before the first snow",
    "with great patience",
    "for curious visitors",
    "while rain was falling",
    "and kept careful notes",
    "to everybody's surprise",
    "behind the old kitchen",
    "as grandparents once did",
    "without any hurry",
    "under a leaking roof",
    "on a borrowed table",
    "between two storms",
    "at the edge of town",
    "just after sunrise",
    "in complete silence",
];

/// A sentence.
pub fn sentence(random: &mut Random, korean: bool) -> String {
    if korean {
        let parts = [
            random.pick(KO_WHO),
            random.pick(KO_WHEN),
            random.pick(KO_WHAT),
            random.pick(KO_HOW),
            random.pick(KO_DID),
        ];
        format!("{}.", parts.join(" "))
    } else {
        let (who, did, how) = (random.pick(EN_WHO), random.pick(EN_DID), random.pick(EN_HOW));
        let things = format!("{} {}", random.pick(EN_KIND), random.pick(EN_WHAT));
        let (more, year) =
            (format!("{} {}", random.pick(EN_KIND), random.pick(EN_WHAT)), 1890 + random.below(120));
        match random.below(4) {
            0 => format!("In {year} the {who} {did} {things} {how}."),
            1 => format!("The {who} {did} {things} and {more} {how}."),
            2 => format!("{how}, the {who} {did} {more}, which had been {things} in {year}.")
                .chars()
                .enumerate()
                .map(|(at, c)| if at == 0 { c.to_ascii_uppercase() } else { c })
                .collect(),
            _ => format!(
                "Nobody knew why the {who} had {did} {things} {how}, but the {more} of {year} remained."
            ),
        }
    }
}

/// Paragraphs of an article.
pub fn article(random: &mut Random, korean: bool) -> Vec<String> {
    let paragraph = |random: &mut Random| {
        (0..4 + random.below(4)).map(|_| sentence(random, korean)).collect::<Vec<_>>().join(" ")
    };
    (0..4 + random.below(4)).map(|_| paragraph(random)).collect()
}

/// A page with a menu, a title, an article and a footer.
pub fn html(title: &str, paragraphs: &[String], site: &str) -> String {
    let body: String = paragraphs.iter().map(|text| format!("<p>{text}</p>\n")).collect();
    format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{title} - {site}</title><style>p {{ margin: 0 }}</style></head>\n\
         <body><header><nav><ul><li><a href=\"/\">홈</a></li><li><a href=\"/news\">뉴스</a></li><li><a href=\"/login\">로그인</a></li></ul></nav></header>\n\
         <main><article><h1>{title}</h1>\n{body}</article></main>\n\
         <footer><p>Copyright 2026 {site}. All rights reserved.</p></footer><script>var x = 1;</script></body></html>\n"
    )
}

/// A record of WARC.
pub fn record(kind: &str, url: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2026-11-30T00:00:00Z\r\n\
         WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-000000000000>\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n\r\n");
    out
}

/// A record of an answer with a page.
pub fn response(url: &str, page: &[u8]) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n".to_vec();
    answer.extend_from_slice(page);
    record("response", url, "application/http; msgtype=response", &answer)
}

/// As a member of gzip.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn json(value: &str) -> String {
    serde_json::to_string(value).unwrap()
}

/// Writes pages of every kind into a folder, `size` articles of each.
pub fn pages(folder: &Path, size: usize) {
    let random = &mut Random(42);
    fs::create_dir_all(folder.join("site")).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    let korean: Vec<Vec<String>> = (0..size).map(|_| article(random, true)).collect();
    let english: Vec<Vec<String>> = (0..size).map(|_| article(random, false)).collect();

    // A crawl: a record a member, with copies, spam and damage.
    let info = record("warcinfo", "", "application/warc-fields", b"software: made by a test\r\n");
    let mut crawl = gzip(&info);
    for (number, paragraphs) in korean.iter().enumerate() {
        let url = format!("https://news.example/{number}");
        let mut paragraphs = paragraphs.clone();
        // The host says this on every page.
        paragraphs.push("이 기사를 친구에게 보내려면 아래의 단추를 누르고 주소를 적어 주세요.".to_owned());
        if number % 7 == 3 {
            paragraphs
                .push("문의는 test.person@mail.example 또는 010-1234-5678 로 해 주시기 바랍니다.".to_owned());
        }
        crawl.extend(gzip(&response(
            &url,
            html(&format!("마을 소식 {number}"), &paragraphs, "가람 신문").as_bytes(),
        )));
        if number % 5 == 1 {
            // The same article on another host, with another footer.
            let url = format!("https://mirror.example/{number}");
            crawl.extend(gzip(&response(
                &url,
                html(&format!("마을 소식 {number}"), &paragraphs[..paragraphs.len() - 1], "거울").as_bytes(),
            )));
        }
    }
    let spam = "바카라 카지노 사이트 추천 먹튀 검증 토토 가입 쿠폰 지급 ".repeat(40);
    crawl.extend(gzip(&response(
        "https://spam.example/1",
        html("최고의 카지노", &[spam], "카지노").as_bytes(),
    )));
    crawl.extend(gzip(&record(
        "response",
        "https://news.example/gone",
        "application/http",
        b"HTTP/1.1 404 Not Found\r\n\r\nnone",
    )));
    // A member that is cut off, and one behind it.
    let cut = gzip(&response("https://news.example/cut", b"<p>cut</p>"));
    crawl.extend_from_slice(&cut[..cut.len() / 2]);
    crawl.extend(gzip(&response(
        "https://news.example/last",
        html("마지막 소식", &article(random, true), "가람 신문").as_bytes(),
    )));
    write("crawl.warc.gz", &crawl);

    // The texts of a crawl.
    let mut texts = info;
    for (number, paragraphs) in english.iter().enumerate() {
        let url = format!("https://magazine.example/{number}");
        texts.extend(record("conversion", &url, "text/plain", paragraphs.join("\n").as_bytes()));
    }
    write("texts.warc.wet", &texts);

    // A wiki.
    let mut wiki = String::from(
        "<mediawiki xmlns=\"http://www.mediawiki.org/xml/export-0.11/\" version=\"0.11\" xml:lang=\"ko\">\n<siteinfo><base>https://wiki.example/wiki/%EB%8C%80%EB%AC%B8</base></siteinfo>\n",
    );
    for number in 0..size {
        let text: Vec<String> =
            article(random, true).iter().map(|text| format!("'''글'''은 [[마을|{text}]]")).collect();
        let text = text.join("\n\n== 제목 ==\n").replace('<', "&lt;");
        wiki += &format!(
            "<page><title>문서 {number}</title><ns>0</ns><id>{number}</id><revision><id>1</id><model>wikitext</model><text xml:space=\"preserve\">{text}</text></revision></page>\n"
        );
    }
    wiki += "<page><title>옛 이름</title><ns>0</ns><redirect title=\"문서 1\"/><revision><text>#넘겨주기 [[문서 1]]</text></revision></page>\n\
             <page><title>토론:문서 1</title><ns>1</ns><revision><text>이야기</text></revision></page>\n</mediawiki>\n";
    let (head, rest) = wiki.split_at(wiki.find("<page>").unwrap());
    // Streams of several pages, one after another, as Wikipedia gives them.
    let mut streams = bzip2(head.as_bytes());
    for piece in rest.split_inclusive("</page>\n").collect::<Vec<_>>().chunks(4) {
        streams.extend(bzip2(piece.concat().as_bytes()));
    }
    write("wiki.xml.bz2", &streams);

    // Lines of documents: some are articles of the crawl again, some nearly.
    let mut lines = String::new();
    for (number, paragraphs) in korean.iter().enumerate() {
        let text = match number % 4 {
            0 => paragraphs.join("\n\n"),
            1 => paragraphs[..paragraphs.len() - 1].join("\n"),
            _ => article(random, true).join("\n"),
        };
        lines += &format!(
            "{{\"text\": {}, \"license\": \"CC-BY-4.0\", \"source\": \"made/notes\"}}\n",
            json(&text)
        );
    }
    lines += "{\"text\": null}\nnot json\n";
    write("notes.jsonl", lines.as_bytes());

    for (number, paragraphs) in english.iter().enumerate().take(size / 2) {
        // Nearly what the magazine has.
        let mut paragraphs = paragraphs.clone();
        paragraphs.push("Thank you for reading this far.".to_owned());
        write(
            &format!("site/page-{number:03}.html"),
            html(&format!("Page {number}"), &paragraphs, "Garam Times").as_bytes(),
        );
    }
}
