//! 42dot's form: the system text, then exchanges on one line, each answer closed by the EOS token.
//!
//! `{bos}{system}<human>: question <bot>: answer{eos}<human>: question <bot>:`

use super::{Message, TemplateError};

/// As published with 42dot LLM-SFT, line ends and spaces included.
pub(super) const SYSTEM: &str = "호기심 많은 인간 (human)과 인공지능 봇 (AI bot)의 대화입니다. \n\
봇의 이름은 42dot LLM이고 포티투닷 (42dot)에서 개발했습니다. \n\
봇은 인간의 질문에 대해 친절하게 유용하고 상세한 답변을 제공합니다. \n";

/// The same, for programs that know templates in Jinja only.
pub(super) const JINJA: &str = r"{%- if messages and messages[0]['role'] == 'system' -%}
    {%- set system = messages[0]['content'] -%}
    {%- set turns = messages[1:] -%}
{%- else -%}
    {%- set system = '호기심 많은 인간 (human)과 인공지능 봇 (AI bot)의 대화입니다. \n봇의 이름은 42dot LLM이고 포티투닷 (42dot)에서 개발했습니다. \n봇은 인간의 질문에 대해 친절하게 유용하고 상세한 답변을 제공합니다. \n' -%}
    {%- set turns = messages -%}
{%- endif -%}
{{- bos_token ~ system -}}
{%- for message in turns -%}
    {%- if message['role'] != ('user' if loop.index0 % 2 == 0 else 'assistant') -%}
        {{- raise_exception('user and assistant take turns') -}}
    {%- endif -%}
    {%- if message['role'] == 'user' -%}
        {{- '<human>: ' + message['content'] -}}
    {%- else -%}
        {{- ' <bot>: ' ~ message['content'] ~ eos_token -}}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt and turns and turns[-1]['role'] == 'user' -%}
    {{- ' <bot>:' -}}
{%- endif -%}
";

pub(super) fn render(
    messages: &[Message],
    add_generation_prompt: bool,
    bos: &str,
    eos: &str,
) -> Result<String, TemplateError> {
    let refuse = |message: String| TemplateError::Refused { origin: "42dot".to_owned(), message };
    let (system, turns) = match messages.split_first() {
        Some((first, rest)) if first.role == "system" => (first.content.as_str(), rest),
        _ => (SYSTEM, messages),
    };
    let mut text = format!("{bos}{system}");
    let mut open = false;
    for turn in turns {
        match (turn.role.as_str(), open) {
            ("user", false) => {
                text.push_str("<human>: ");
                text.push_str(&turn.content);
                open = true;
            }
            ("assistant", true) => {
                text.push_str(" <bot>: ");
                text.push_str(&turn.content);
                text.push_str(eos);
                open = false;
            }
            (role @ ("user" | "assistant"), _) => {
                return Err(refuse(format!(
                    "user and assistant take turns, and here {role} speaks out of turn"
                )));
            }
            (role, _) => return Err(refuse(format!("it knows user and assistant, not {role:?}"))),
        }
    }
    if add_generation_prompt && open {
        text.push_str(" <bot>:");
    }
    Ok(text)
}
