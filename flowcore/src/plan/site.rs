//! Compiles the expressions of one step, and says where it stands when they are wrong.

use std::time::Duration;

use serde_json::Value;

use super::{Retry, Template};
use crate::definition::RetryDef;
use crate::error::{Error, Result};
use crate::expr::{ExprError, Names, Program};
use crate::time::parse_span;

/// The place in a definition that a message is about.
pub(super) struct Site {
    pub(super) path: String,
    pub(super) line: Option<u64>,
}

impl Site {
    pub(super) fn invalid(&self, message: impl Into<String>) -> Error {
        Error::Invalid {
            step: self.path.clone(),
            line: self.line,
            message: message.into(),
        }
    }

    pub(super) fn expression(&self, field: &str, text: &str, error: &ExprError) -> Error {
        self.invalid(format!("{field} `{text}`: {error}"))
    }

    /// An expression, bare or as `${…}`.
    pub(super) fn program(&self, field: &str, text: &str, names: &dyn Names) -> Result<Program> {
        let bare = text.trim();
        let bare = bare
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'))
            .unwrap_or(bare);
        Program::compile(bare, names).map_err(|error| self.expression(field, text, &error))
    }

    pub(super) fn template(
        &self,
        field: &str,
        value: &Value,
        names: &dyn Names,
    ) -> Result<Template> {
        Template::compile(value, names)
            .map_err(|error| self.expression(field, &value.to_string(), &error))
    }

    pub(super) fn text(
        &self,
        field: &str,
        text: &Option<String>,
        names: &dyn Names,
    ) -> Result<Option<Template>> {
        let compiled = text
            .as_ref()
            .map(|text| self.template(field, &Value::from(text.as_str()), names));
        compiled.transpose()
    }

    pub(super) fn span(&self, field: &str, text: &str) -> Result<Duration> {
        parse_span(text).ok_or_else(|| {
            self.invalid(format!(
                "{field}: `{text}` is no span; write 500ms, 5s, 2m or 1h"
            ))
        })
    }

    /// A span that may be computed: constants are checked now.
    pub(super) fn span_template(
        &self,
        field: &str,
        text: &Option<String>,
        names: &dyn Names,
    ) -> Result<Option<Template>> {
        let template = self.text(field, text, names)?;
        if let Some(Template::Constant(value)) = &template
            && let Value::String(text) = &**value
        {
            self.span(field, text)?;
        }
        Ok(template)
    }

    pub(super) fn retry(&self, retry: &RetryDef) -> Result<Retry> {
        let rate = retry.backoff_rate.unwrap_or(2.0);
        if !(1.0..=1000.0).contains(&rate) {
            return Err(self.invalid("retry.backoff_rate lies between 1 and 1000"));
        }
        let interval = match &retry.interval {
            Some(text) => self.span("retry.interval", text)?,
            None => Duration::from_secs(1),
        };
        let interval_max = retry
            .max_interval
            .as_ref()
            .map(|text| self.span("retry.max_interval", text))
            .transpose()?;
        let on = retry.on.clone();
        Ok(Retry {
            attempts_max: retry.max_attempts,
            interval,
            rate,
            interval_max,
            jitter: retry.jitter,
            on,
        })
    }
}
