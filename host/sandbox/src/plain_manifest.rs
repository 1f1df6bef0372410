//! Cleans the texts of a manifest, which terminals, logs, pages and documents show.

use crate::contract::api::{EntitySpec, FieldSpec, Manifest, RelationSpec, SettingSpec, StreamSpec};
use crate::text::plain;

/// The manifest with every text on one line, without control characters and bidirectional controls, cut at 4 KiB.
///
/// Names are cleaned as well: one that changes is no longer in kebab case, so the manifest is refused.
pub(crate) fn plain_manifest(mut manifest: Manifest) -> Manifest {
    let Manifest { name, title, version, description, setup, settings, hosts, budgets, streams } =
        &mut manifest;
    clean([name, title, version, description]);
    clean(setup);
    clean(hosts);
    clean(budgets.iter_mut().map(|budget| &mut budget.name));
    settings.iter_mut().for_each(setting);
    streams.iter_mut().for_each(stream);
    manifest
}

fn clean<'a>(texts: impl IntoIterator<Item = &'a mut String>) {
    texts.into_iter().for_each(|text| *text = plain(text));
}

fn setting(setting: &mut SettingSpec) {
    let SettingSpec { name, title, help, kind: _, required: _, pattern, default, example, choices } = setting;
    clean([name, title, help]);
    clean([pattern, default, example].into_iter().flatten());
    clean(choices);
}

fn stream(stream: &mut StreamSpec) {
    clean([&mut stream.name, &mut stream.title]);
    clean(&mut stream.permissions);
    clean(&mut stream.budget);
    for EntitySpec { entity_type: _, source_type, title, fields, attributes } in &mut stream.entities {
        clean([source_type, title]);
        for FieldSpec { name, description } in fields.iter_mut().chain(attributes) {
            clean([name, description]);
        }
    }
    for RelationSpec { parent, privilege, child, description } in &mut stream.relations {
        clean([parent, privilege, child, description]);
    }
}
