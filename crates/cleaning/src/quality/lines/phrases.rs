//! The phrases that lines of a page's frame are made of.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::unicode::{is_letter, is_space};

#[derive(Clone, Copy)]
enum Group {
    /// Prohibits copying, or claims the rights.
    Copyright,
    /// © in some form.
    Sign,
    /// What stands in the address of an office.
    Office,
    Notice,
    News,
    Advertising,
}

const PHRASES: &[(Group, &[&str])] = &[
    (
        Group::Copyright,
        &[
            "무단전재",
            "무단 전재",
            "무단복제",
            "무단 복제",
            "재배포 금지",
            "재배포금지",
            "배포금지",
            "저작권자",
            "all rights reserved",
            "copyright",
            "무단 배포",
            "ai 학습 및 활용 금지",
            "ai학습 이용 금지",
        ],
    ),
    (Group::Sign, &["©", "ⓒ", "(c)", "all rights reserved"]),
    (
        Group::Office,
        &[
            "상호:",
            "상호 :",
            "상호명",
            "대표:",
            "대표 :",
            "대표자:",
            "대표자 :",
            "대표이사",
            "사업자등록번호",
            "사업자 등록번호",
            "통신판매업",
            "개인정보관리책임자",
            "개인정보보호책임자",
            "청소년보호책임자",
            "등록번호 :",
            "등록번호:",
            "발행인",
            "편집인",
            "등록일자",
            "주소:",
            "주소 :",
            "tel:",
            "tel :",
            "fax:",
            "fax :",
            "팩스:",
            "팩스 :",
            "대표전화",
            "인터넷신문 등록",
        ],
    ),
    (
        Group::Notice,
        &[
            "쿠키를 사용합니다",
            "쿠키 사용에 동의",
            "자바스크립트를 사용할 수 없",
            "자바스크립트를 활성화",
            "요청하신 페이지를 찾을 수 없",
            "페이지를 찾을 수 없습니다",
            "존재하지 않는 페이지",
            "회원만 볼 수 있는",
            "로그인 후 이용",
            "로그인이 필요합니다",
            "로그인이 필요한 서비스",
            "광고 차단 프로그램",
            "비밀댓글입니다",
            "승인을 기다리고 있는 댓글",
            "삭제된 댓글입니다",
            "브라우저에서는 지원하지 않",
            "브라우저 설정을 확인",
            "이 브라우저는",
            "등록된 댓글이 없습니다",
            "첫 댓글을 남겨",
            "댓글을 입력하세요",
            "권한이 없습니다",
            "we use cookies",
            "this site uses cookies",
            "this website uses cookies",
            "accept all cookies",
            "accept cookies",
            "enable javascript",
            "javascript is disabled",
            "javascript is required",
            "disable your ad blocker",
            "page not found",
            "you must be logged in",
            "please log in to",
            "sign in to continue",
        ],
    ),
    (
        Group::News,
        &[
            "▶관련기사",
            "▶ 관련기사",
            "☞관련기사",
            "[관련기사]",
            "관련기사 ▶",
            "이 기사는 ",
            "기사 문의나 제보",
            "제보는 카카오톡",
            "기사제보",
            "기사 제보",
            "이미지 확대",
            "기사의 원 데이터",
            "홍보용 기사는",
            "앵커멘트",
            "앵커 멘트",
            "기자의 다른기사",
            "기자의 다른 기사",
            "네이버에서 구독",
            "구독하고 ",
            "많이 본 뉴스",
            "핫라인 1393",
            "자살예방 상담전화",
            "콘텐츠 사용과 관련해",
        ],
    ),
    (
        Group::Advertising,
        &[
            "(광고)",
            "무료수신거부",
            "쿠팡 파트너스",
            "쿠팡파트너스",
            "수수료를 제공받",
            "원고료를 제공받",
            "제품을 제공받아",
            "제공받아 작성",
            "소정의 원고료",
            "이웃추가",
            "이웃 추가",
            "서로이웃",
            "공감과 댓글은",
            "댓글은 큰 힘",
            "좋아요와 구독",
            "구독과 좋아요",
            "꽁머니",
            "토토사이트",
            "당일대출",
            "카톡 id",
            "즉시 지급",
            "해외주식 스탁론",
            "(클릭!)",
            "subscribe to our newsletter",
            "sponsored post",
            "affiliate links",
        ],
    ),
];

static FIND: LazyLock<(AhoCorasick, Vec<Group>)> = LazyLock::new(|| {
    let (phrases, groups): (Vec<&str>, Vec<Group>) = PHRASES
        .iter()
        .flat_map(|&(group, phrases)| phrases.iter().map(move |&phrase| (phrase, group)))
        .unzip();
    let find =
        AhoCorasick::builder().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(phrases);
    (find.unwrap_or_else(|error| unreachable!("the phrases are few: {error}")), groups)
});

/// What phrases a line has.
#[derive(Default)]
pub(super) struct Found {
    pub(super) copyright: bool,
    pub(super) sign: bool,
    pub(super) office: usize,
    pub(super) notice: bool,
    pub(super) news: bool,
    pub(super) advertising: bool,
}

impl Found {
    pub(super) fn of(line: &str) -> Self {
        let (find, groups) = &*FIND;
        let mut found = Self::default();
        for hit in find.find_overlapping_iter(line) {
            match groups[hit.pattern().as_usize()] {
                Group::Copyright => found.copyright = true,
                Group::Sign => found.sign = true,
                Group::Office => found.office += 1,
                Group::Notice => found.notice = true,
                Group::News => found.news = true,
                Group::Advertising => found.advertising = true,
            }
        }
        // "이 기사는 …" begins a note of the machine that wrote it, and sentences of all kinds.
        if found.news && line.contains("이 기사는 ") {
            found.news = ["자동 작성", "자동작성", "자동 생성", "실시간으로 작성", "기사 자동생성"]
                .iter()
                .any(|phrase| line.contains(phrase));
        }
        // "copyright" and 저작권자 are also words of sentences.
        if found.copyright && !found.sign {
            let lower = line.to_ascii_lowercase();
            found.copyright = !lower.contains("copyright") || lower.starts_with("copyright");
        }
        found
    }
}

/// Words of menus, buttons and counters.
const NAVIGATION: &[&str] = &[
    "본문",
    "바로가기",
    "메뉴",
    "로그인",
    "로그아웃",
    "회원가입",
    "고객센터",
    "사이트맵",
    "홈",
    "이전글",
    "다음글",
    "이전",
    "다음",
    "목록",
    "목록으로",
    "글쓰기",
    "답글",
    "수정",
    "삭제",
    "인쇄",
    "스크랩",
    "신고",
    "신고하기",
    "댓글",
    "댓글쓰기",
    "추천",
    "비추천",
    "조회",
    "조회수",
    "공유",
    "공유하기",
    "url복사",
    "url",
    "복사",
    "카카오톡",
    "카카오스토리",
    "페이스북",
    "트위터",
    "엑스",
    "밴드",
    "구독",
    "구독하기",
    "좋아요",
    "공감",
    "개인정보처리방침",
    "이용약관",
    "이메일무단수집거부",
    "영상정보처리기기운영관리방침",
    "개인정보취급방침",
    "게시글",
    "관리",
    "카테고리",
    "글",
    "요소",
    "전체보기",
    "더보기",
    "닫기",
    "열기",
    "검색",
    "마이페이지",
    "장바구니",
    "주문조회",
    "공지사항",
    "자주묻는질문",
    "첨부파일",
    "다운로드",
    "프린트",
    "글자크기",
    "크게",
    "작게",
    "맨위로",
    "top",
    "home",
    "menu",
    "login",
    "log",
    "sign",
    "in",
    "up",
    "out",
    "register",
    "help",
    "search",
    "share",
    "tweet",
    "like",
    "comment",
    "comments",
    "reply",
    "previous",
    "next",
    "post",
    "list",
    "skip",
    "to",
    "main",
    "content",
    "facebook",
    "twitter",
    "print",
    "email",
    "subscribe",
    "privacy",
    "policy",
    "terms",
    "of",
    "use",
    "service",
    "contact",
    "us",
    "about",
    "sitemap",
    "copy",
    "link",
    "download",
    "close",
    "more",
    "back",
    "faq",
    "cart",
    "account",
    "news",
    "rss",
    "뉴스",
    "저작자표시",
    "비영리",
    "변경금지",
    "상세",
    "내용",
    "수집거부",
    "오시는길",
    "문의하기",
    "찾아오시는",
    "길",
    "전체메뉴",
    "퀵메뉴",
    "english",
    "한국어",
    "모바일",
    "pc버전",
    "즐겨찾기",
];

/// Whether a line is a row of such words: at least three of them, and little beside them.
pub(super) fn is_navigation(line: &str) -> bool {
    let (mut words, mut known, mut content) = (0, 0, 0);
    for word in
        line.split(|c: char| is_space(c) || matches!(c, '|' | '·' | '>' | '/' | '»' | '›' | ',' | '[' | ']'))
    {
        let bare = word.trim_matches(|c: char| !is_letter(c));
        if bare.is_empty() {
            // Numbers beside counters.
            continue;
        }
        words += 1;
        let lower = bare.to_lowercase();
        if NAVIGATION.contains(&lower.as_str()) {
            known += 1;
        } else if bare != "개" && bare != "건" && bare != "회" {
            content += 1;
        }
    }
    known >= 3 && (content == 0 || known * 10 >= words * 7)
}
