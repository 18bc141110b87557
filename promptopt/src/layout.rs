//! How prompt files are laid out: a field a line, lists within one, since a rule has hundreds of weights.

use std::io::{Result, Write};

use serde_json::ser::Formatter;

#[derive(Default)]
pub(crate) struct Layout {
    depth: usize,
    /// Whether the object that was written last has fields.
    filled: bool,
}

impl Layout {
    fn line<W: ?Sized + Write>(&self, writer: &mut W) -> Result<()> {
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(b"  "))
    }
}

impl Formatter for Layout {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        self.depth += 1;
        self.filled = false;
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        self.depth -= 1;
        if self.filled {
            self.line(writer)?;
        }
        writer.write_all(b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        self.line(writer)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        writer.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> Result<()> {
        self.filled = true;
        Ok(())
    }
}

/// The JSON of a value in this layout.
pub(crate) fn laid_out(value: &impl serde::Serialize) -> serde_json::Result<String> {
    let mut text = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut text,
        Layout::default(),
    ))?;
    String::from_utf8(text).map_err(serde::ser::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_a_line_and_a_list_has_one() {
        let value = serde_json::json!({
            "a": {"b": [1, 2, [3]], "c": {}},
            "d": [{"e": "\n"}, {}],
            "f": []
        });
        let text = laid_out(&value).unwrap();
        let expected = "{\n  \"a\": {\n    \"b\": [1, 2, [3]],\n    \"c\": {}\n  },\n  \
                        \"d\": [{\n    \"e\": \"\\n\"\n  }, {}],\n  \"f\": []\n}";
        assert_eq!(text, expected);
        let back: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back, value);
    }
}
