//! Paths into a document: `tasks/weld_a`. In a key `/` is written `~1` and `~` `~0` (RFC 6901).

use std::borrow::Cow;

/// The path of a key below a path.
pub(crate) fn join(path: &str, key: &str) -> String {
    let key = key.replace('~', "~0").replace('/', "~1");
    format!("{path}/{key}")
}

/// The keys of a path.
pub(crate) fn split(path: &str) -> impl Iterator<Item = Cow<'_, str>> {
    path.split('/').map(|key| match key.contains('~') {
        true => Cow::Owned(key.replace("~1", "/").replace("~0", "~")),
        false => Cow::Borrowed(key),
    })
}
