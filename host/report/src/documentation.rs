//! The documentation of a connector as Markdown, from its manifest alone: the template is `documentation.md`.

use askama::Template;

use connector_sandbox::manifest::Manifest;

#[derive(Template)]
#[template(path = "documentation.md", escape = "none")]
struct Documentation<'a> {
    manifest: &'a Manifest,
}

/// The documentation of the connector with this manifest.
///
/// # Errors
///
/// When the template fails; no manifest causes that.
pub fn documentation(manifest: &Manifest) -> Result<String, askama::Error> {
    let page = Documentation { manifest }.render()?;
    // The template has neither HTML nor links, so any of them come from the connector: they are escaped.
    let page = page.trim_end().replace('<', "&lt;").replace('[', "\\[");
    Ok(format!("{page}\n"))
}

#[expect(unreachable_pub, reason = "askama's macro makes them public, in a private module")]
mod filters {
    use askama::{Result, Values};

    use connector_sandbox::manifest::{HostRule, SettingKind, SettingSpec};

    /// Text within a cell of a table: on one line, and with each `|` escaped.
    #[askama::filter_fn]
    pub(super) fn cell(text: &str, _: &dyn Values) -> Result<String> {
        Ok(text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|"))
    }

    /// A value as code, if there is one.
    #[askama::filter_fn]
    pub(super) fn optional_code(value: &Option<String>, _: &dyn Values) -> Result<String> {
        Ok(value.as_ref().map(|value| format!("`{value}`")).unwrap_or_default())
    }

    /// The values that a setting takes.
    #[askama::filter_fn]
    pub(super) fn kind(setting: &SettingSpec, _: &dyn Values) -> Result<String> {
        Ok(match setting.kind {
            SettingKind::Text => "text".to_owned(),
            SettingKind::Secret => "secret".to_owned(),
            SettingKind::Boolean => "true or false".to_owned(),
            SettingKind::Integer => "number".to_owned(),
            SettingKind::Choice => format!("one of `{}`", setting.choices.join("`, `")),
        })
    }

    /// The hosts that the connector may reach.
    #[askama::filter_fn]
    pub(super) fn hosts(hosts: &[HostRule], _: &dyn Values) -> Result<String> {
        let hosts = hosts.iter().map(|host| match host {
            HostRule::Name(name) => format!("`{name}`"),
            HostRule::Setting(name) => format!("the value of `{name}`"),
        });
        Ok(hosts.collect::<Vec<_>>().join(", "))
    }

    /// The permissions of a stream; any one of them is enough.
    #[askama::filter_fn]
    pub(super) fn permissions(names: &[String], _: &dyn Values) -> Result<String> {
        if names.is_empty() {
            return Ok("nothing".to_owned());
        }
        Ok(names.iter().map(|name| format!("*{name}*")).collect::<Vec<_>>().join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_and_links_of_a_manifest_are_shown_and_not_interpreted() {
        let hostile = "<img src=x onerror=alert(1)> [click](javascript:alert(1))";
        let manifest = Manifest {
            description: hostile.to_owned(),
            setup: vec![hostile.to_owned()],
            ..Manifest::default()
        };
        let page = documentation(&manifest).unwrap();
        assert_eq!(page.matches("&lt;img src=x").count(), 2, "{page}");
        assert!(!page.contains('<') && !page.contains(" [click]"), "{page}");
    }
}
