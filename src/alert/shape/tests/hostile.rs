//! Five hundred hostile texts in every field of an alert that holds text of others, in every shape and in the story.

#[path = "../../../../tests/support/payloads.rs"]
mod payloads;

use super::cef;
use super::*;
use crate::alert::{Paint, told};
use crate::incident::{Aim, Attribute, Contrast, Sought};
use payloads::{PAYLOADS, is_live, payload};

/// The incident with the text wherever there can be one.
fn poisoned(text: &str) -> Incident {
    let text = || text.to_owned();
    let mut incident = example::incident();
    let asked = [Aim::Path { path: text(), method: text() }, Aim::ServerName(text())];
    incident.sought = asked.map(|what| Sought { what, share: 0.5, baseline_share: Some(0.1) }).to_vec();
    let contrast =
        [Attribute::UserAgent, Attribute::Path, Attribute::Method, Attribute::Ja4, Attribute::ServerName];
    incident.contrast = contrast
        .map(|attribute| Contrast { value: text(), attribute, ..incident.contrast[0].clone() })
        .to_vec();
    incident.opening.title = text();
    incident.opening.category = text();
    incident.opening.id = text();
    incident.rules[0].id = text();
    incident.origins[0].label = Some(LabelId(0));
    incident
}

/// Every text of a JSON value, its names too.
fn texts(value: &Value, visit: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, visit)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            visit(name);
            texts(value, visit);
        }),
        _ => {}
    }
}

fn is_inert(text: &str) {
    assert!(!text.contains(is_live), "{text:?}");
}

#[test]
fn no_shape_of_an_alert_can_be_broken() {
    let mut scene = Scene::new();
    for nth in 0..PAYLOADS {
        let text = String::from_utf8_lossy(&payload(nth)).into_owned();
        scene.labels = vec![text.clone()];
        let organization = |_| Some(text.clone());
        let mut around = scene.around();
        (around.sensor, around.organization) = (&text, &organization);
        let incident = poisoned(&text);
        let alert = Alert::new(&incident, &around);
        let (record, story) = (alert.record(), alert.story(1, Paint::Plain));
        is_inert(&story.replace('\n', ""));
        for format in [Format::Eve, Format::Ecs, Format::Ocsf] {
            let document = json_in(&record, format);
            texts(&document, &mut is_inert);
            is_inert(&record.shaped(format).line);
        }
        assert_eq!(json_in(&record, Format::Ecs)["bongsu"]["sought"][0]["path"], told(&text));
        assert_eq!(json_in(&record, Format::Ocsf)["metadata"]["reporter"]["name"], told(&text));
        let read = cef::read(&record);
        is_inert(&record.shaped(Format::Cef).line);
        let name: String = told(&text).chars().take(500).collect();
        assert!(read.header[4].starts_with(&name), "payload {nth}");
        assert_eq!(read.get("cs1"), Some("attack/http_flood"), "payload {nth}");
    }
}
