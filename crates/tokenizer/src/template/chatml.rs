//! ChatML: every turn between two tokens of its own, so that no text can end a turn.

/// The form as a Jinja template.
pub(super) const JINJA: &str = r"{%- for message in messages -%}
    {{- '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<|im_start|>assistant\n' -}}
{%- endif -%}
";
