//! Korean. What is put into a sentence may end in any sound, so that no particle that follows it depends on that.

use sai_generation::Error;

use super::Texts;
use crate::chat::commands::Verb;
use crate::ui::Size;

/// All of it.
pub(crate) static KOREAN: Texts = Texts {
    device: |device, auto, size, free| {
        let why = if auto { "이 빌드의 유일한 장치" } else { "지정한 장치" };
        let free = free.map(|free| format!(", 남은 메모리 {free}")).unwrap_or_default();
        format!("{device} ({why}) · 모델 {size}{free}")
    },
    loaded: |model, seconds, context| format!("{model} · {seconds}초 만에 열었습니다 · 컨텍스트 {context}"),
    built_in: |name, next| {
        let small = format!("{name}: sai에 들어 있는 작은 모델");
        match next {
            Some((size, next)) => {
                format!("{small}. 한국어를 잘 아는 모델({size} 내려받음): sai chat --model {next}")
            }
            None => small,
        }
    },
    keys: "/help 도움말 · Alt+Enter 줄 바꿈 · Ctrl-C 멈춤 · Ctrl-D 나가기",
    going_on: |name, count| format!("{name} 대화를 이어 갑니다. 지금까지 {count}번 묻고 답했습니다"),
    other_model: |before, now| format!("지금까지의 모델: {before} · 이제부터: {now}"),
    stopped: "(멈춤)",
    unanswered: "(아직 답이 없습니다. /regen 하면 답합니다)",

    saved_goes_on: |name| format!("저장했습니다. 이어 가려면: sai chat --resume {name}"),
    leave_again: "Ctrl-C를 한 번 더 누르거나 Ctrl-D를 누르면 나갑니다",

    tokens: |count| format!("{count}토큰"),
    tokens_per_second: |rate| format!("초당 {rate}토큰"),
    first_after: |seconds| format!("첫 토큰 {seconds}초"),
    context: |used, whole| format!("컨텍스트 {used}/{whole}"),
    figures_stopped: "멈춤",
    cut_by_length: "max-new-tokens에 닿아 끊겼습니다",
    cut_by_context: "컨텍스트가 차서 끊겼습니다",
    context_full: |gone| {
        format!(
            "— 컨텍스트가 찼습니다. 가장 오래된 문답 {gone}개는 모델이 더 보지 못합니다(저장은 되어 있습니다) —"
        )
    },
    question_takes: |tokens, context, left| {
        format!(
            "— 질문만으로 컨텍스트 {context}토큰 가운데 {tokens}토큰을 씁니다. 답에 남은 것은 {left}토큰입니다(--context) —"
        )
    },
    stats: ["모델 열기", "프롬프트", "첫 토큰", "답", "넘겨짚기", "시드", "컨텍스트"],
    stats_prompt: |tokens, kept, seconds, rate| {
        format!("{tokens}토큰, 그 가운데 {kept}토큰은 앞서 계산한 것; {seconds:.2}초, 초당 {rate:.1}토큰")
    },
    stats_answer: |tokens, seconds, rate, reason| {
        format!("{tokens}토큰, {seconds:.2}초, 초당 {rate:.1}토큰; 끝난 까닭: {reason}")
    },
    stats_first: |seconds| format!("{seconds}초 뒤"),
    stats_context: |used, whole| format!("{whole}토큰 가운데 {used}토큰"),
    stats_guessed: |right, all| format!("{all}토큰 가운데 {right}토큰 적중"),

    command,
    help_keys: "  Alt+Enter 줄 바꿈 · Ctrl-O $EDITOR로 쓰기 · Tab 자동 완성 · Ctrl-R 지난 입력 찾기",
    no_command: |name, near| {
        let near = near.map(|near| format!(" /{near} 말인가요?")).unwrap_or_default();
        format!("/{name} 명령은 없습니다.{near} (목록은 /help, 모델에게 그대로 물으려면 //…)")
    },
    no_question_to_edit: "아직 고칠 질문이 없습니다",
    no_question_to_answer: "아직 다시 답할 질문이 없습니다",
    nothing_to_take_back: "되돌릴 것이 없습니다",
    taken_back: |question| format!("되돌렸습니다: {question}"),
    export_wants_a_name: "/export 다음에 파일 이름을 쓰세요: .md, .json 또는 .txt",
    export_form: |file| {
        format!("{file}: 어떤 형식인지 알 수 있게 .md, .json, .txt 가운데 하나로 이름을 지으세요")
    },
    export_exists: |file| format!("{file}: 이미 있는 파일입니다. 다른 이름을 고르세요"),
    written_to: |path| format!("여기에 썼습니다: {path}"),
    no_answer_yet: "아직 답이 없습니다",
    debug_on: "이제 토큰마다 후보를 보여 줍니다",
    debug_off: "이제 후보를 보여 주지 않습니다",
    new_conversation: "새 대화입니다",
    model_context: |tokens| format!("컨텍스트 {tokens}"),
    no_system: "정해 둔 시스템 프롬프트가 없습니다. 모델의 템플릿에 들어 있을 수는 있습니다",
    system_removed: "시스템 프롬프트를 지웠습니다",
    system_set: "시스템 프롬프트를 정했습니다. 다음 질문부터 적용됩니다",
    not_kept: "이 대화는 저장하지 않습니다(--no-save를 주었거나 홈 폴더가 없습니다)",
    saved_as: |id, name| match name {
        Some(name) => format!("{id} ({name}) 대화로 저장되어 있습니다. 이름은 /save NAME으로 바꿉니다"),
        None => format!("{id} 대화로 저장되어 있습니다. 이름은 /save NAME으로 붙입니다"),
    },
    named: |name| format!("이름을 붙여 저장했습니다: {name}"),
    name_rule: "이름은 80자까지 한 줄로 씁니다. `last`는 쓸 수 없습니다",
    name_taken: |id| format!("{id} 대화가 이미 그 이름을 씁니다. 다른 이름을 고르세요"),
    none_saved: "아직 저장된 대화가 없습니다",
    turns: |count| format!("{count}문답"),
    older: |count| format!("  그 밖에 더 오래된 대화 {count}개"),
    no_conversation: |which, folder| format!("{folder} 폴더에 `{which}` 대화가 없습니다"),
    many_conversations: |which, count| {
        format!("`{which}` 글자로 시작하는 대화가 {count}개입니다. 더 길게 쓰세요")
    },
    no_exchange: "아직 나눈 말이 없습니다. /tokens 다음에 글을 쓰면 그 글의 토큰을 보여 줍니다",
    token_titles: ["글", "질문", "답"],
    changed_elsewhere: |id| {
        format!("그 사이에 다른 sai가 이 대화를 바꾸었습니다. 여기서는 {id} 대화로 이어 갑니다")
    },
    not_saved: |why| format!("이제부터 대화를 저장하지 못합니다: {why}"),
    line_not_kept: |why| format!("{why}; 입력한 줄을 기억해 두지 못합니다"),

    line_failed: |line, why| format!("표준 입력 {line}번째 줄: {why}"),
    lines_unanswered: |count, all| format!("표준 입력 {all}줄 가운데 {count}줄에 답하지 못했습니다"),

    model_empty: |names| {
        format!(
            "--model 값이 비어 있습니다. GGUF 파일, Hugging Face 폴더, 허브의 이름(owner/name)이나 다음 가운데 하나를 주세요: {names}"
        )
    },
    built_in_wins: |name| format!("{name}: sai에 들어 있는 모델을 씁니다. 이 폴더에 있는 것은 ./{name}"),
    no_such_file: |asked| {
        format!("{asked}: 그런 파일이나 폴더가 없습니다. GGUF 파일이나 Hugging Face 폴더의 경로를 주세요")
    },
    no_such_model: |asked, names, near| {
        let near = near.map(|near| format!(". `{near}` 말인가요?")).unwrap_or_default();
        format!("{asked}: 파일도 폴더도, 짧은 이름({names})도, 허브의 이름(owner/name)도 아닙니다{near}")
    },
    no_gpu: |device| {
        format!(
            "--device {device}: 이 빌드는 CPU로만 계산합니다(GPU는 아직 없습니다). --device를 빼거나 --device cpu를 주세요"
        )
    },
    offline: |id, cache| {
        format!(
            "{id}: HF_HUB_OFFLINE이 설정되어 있고 {cache} 폴더에 온전한 사본이 없습니다. 설정을 풀거나 --model에 이 컴퓨터의 파일을 주세요"
        )
    },
    from_cache: |id, why| format!("{id}: 허브에 닿지 못해({why}) 캐시에 있는 사본을 씁니다"),
    unreachable: |id, endpoint, why, cache| {
        format!(
            "{id}: 허브({endpoint})에 닿지 못했고({why}) {cache} 폴더에 온전한 사본이 없습니다. 네트워크를 확인하거나 --model에 이 컴퓨터의 파일을 주세요"
        )
    },
    no_public_model: |id| {
        format!(
            "{id}: 허브에 그런 공개 모델이 없습니다. 이름을 확인하고, 비공개 모델이면 HF_TOKEN을 설정하세요"
        )
    },
    no_model_at: |id, endpoint| {
        format!(
            "{id}: 여기에 그런 파일이나 폴더가 없고, {endpoint} 에도 그런 모델이 없습니다. 이름을 확인하세요"
        )
    },
    licence_first: |id, page| {
        format!("{id}: 사용권에 동의한 사람만 받을 수 있습니다. {page} 에서 동의하고 HF_TOKEN을 설정하세요")
    },

    serving: |models, address| format!("http://{address} 에서 답합니다 · 모델: {models}"),
    serving_a_page: "브라우저로 열면 대화 화면이 나오고, API는 /v1 아래에 있습니다. 끝내려면 Ctrl-C",
    host_without_keys: |host| {
        format!(
            "--host {host}: 다른 사람도 들어올 수 있는 주소입니다. --api-key-file FILE로 키를 정하거나, 누구에게나 열려면 --no-keys를 주세요"
        )
    },
    port_taken: |address| {
        format!("{address} 주소를 쓸 수 없습니다. 다른 서버가 쓰고 있나요? --port로 다른 포트를 고르세요")
    },

    engine_error,

    yes_or_no: "[y/N, ㅛ=예]",
    nobody_to_ask: |question| {
        format!("{question} 터미널에서 대답할 사람이 없습니다. 그래도 하려면 --yes를 주세요")
    },
};

fn command(verb: Verb) -> &'static str {
    match verb {
        Verb::Help => "이 목록",
        Verb::System => "시스템 프롬프트를 보거나 정하거나(TEXT) 지웁니다(none)",
        Verb::Set => "옵션을 보거나 바꿉니다. 이름은 플래그와 같습니다",
        Verb::Regen => "마지막 질문에 새 시드로 다시 답합니다",
        Verb::Undo => "마지막 질문과 답을 되돌립니다",
        Verb::Edit => "마지막 질문을 고쳐 다시 묻습니다 (Ctrl-O: $EDITOR로 고치기)",
        Verb::Save => "이 대화에 이름을 붙입니다",
        Verb::Load => "다른 대화를 이어 갑니다. 이름 없이 쓰면 목록을 보여 줍니다",
        Verb::Export => "대화를 .md, .json, .txt 파일로 씁니다",
        Verb::Stats => "마지막 답에 걸린 시간, 속도, 컨텍스트",
        Verb::Tokens => "글이나 마지막 문답의 토큰 번호와 조각",
        Verb::Debug => "토큰마다 가장 그럴듯한 후보를 보여 주거나 그만 보여 줍니다",
        Verb::Clear => "새 대화를 시작합니다 (지금 대화는 저장되어 있습니다)",
        Verb::Model => "모델을 보거나 다른 모델로 이어 갑니다",
        Verb::Quit => "나갑니다 (Ctrl-D도 같습니다)",
    }
}

/// What a newcomer meets of the engine's refusals.
fn engine_error(error: &Error) -> Option<String> {
    Some(match error {
        Error::PromptTooLong { tokens, context } => format!(
            "프롬프트가 {tokens}토큰인데 컨텍스트는 {context}토큰입니다. 글을 줄이거나 --context를 늘리세요"
        ),
        Error::NoTemplate { path } => format!(
            "{}: 대화 템플릿이 없어 글은 이어 쓰지만 대화는 하지 못합니다. --chat-template으로 템플릿을 지정하세요",
            path.display()
        ),
        Error::ContextTooLong { path, asked, trained } => format!(
            "{}: 컨텍스트 {asked}토큰은 모델이 배운 {trained}토큰보다 깁니다. {trained} 또는 더 작은 값을 주세요",
            path.display()
        ),
        Error::Memory { path, need, available, .. } => format!(
            "{}: 메모리가 모자랍니다. 필요한 것은 {}, 남은 것은 {}입니다. --context를 줄이거나 더 작게 양자화한 모델을 쓰세요",
            path.display(),
            Size(need.total()),
            Size(*available)
        ),
        _ => return None,
    })
}
