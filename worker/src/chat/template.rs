//! The model's own chat template: turns of a conversation to prompt text.

use minijinja::{Environment, ErrorKind, context};
use serde::{Deserialize, Serialize};

/// The part of `tokenizer_config.json` that generation needs.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenizerConfig {
    pub chat_template: String,
    pub eos_token: String,
    pub model_max_length: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    pub content: String,
}

pub(crate) struct ChatTemplate(Environment<'static>);

impl ChatTemplate {
    pub fn new(source: String) -> Result<Self, minijinja::Error> {
        let mut environment = Environment::new();
        // What the reference implementation sets for chat templates.
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.add_function("raise_exception", |text: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, text))
        });
        environment.add_template_owned("chat", source)?;
        Ok(Self(environment))
    }

    /// The prompt that ends where the assistant's answer begins.
    pub fn render(&self, messages: &[Message]) -> Result<String, minijinja::Error> {
        self.0.get_template("chat")?.render(context! { messages, add_generation_prompt => true })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SMOLLM2: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

    fn message(role: &str, content: &str) -> Message {
        Message { role: role.into(), content: content.into() }
    }

    #[test]
    fn chatml_with_and_without_a_system_message() {
        let template = ChatTemplate::new(SMOLLM2.into()).unwrap();
        assert_eq!(
            template.render(&[message("system", "Be brief."), message("user", "Hi {{ no }}")]).unwrap(),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi {{ no }}<|im_end|>\n<|im_start|>assistant\n"
        );
        assert_eq!(
            template.render(&[message("user", "Hi")]).unwrap(),
            "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n\
             <|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
        );
    }
}
