//! YAML text into a document. What is wrong is said with the path of its field, in one line and without a picture of the file.

use serde::de::DeserializeOwned;

use crate::crd::SpecError;

/// One document.
///
/// # Errors
/// [`SpecError`] with the path of the field that could not be read; a place in the file where the text is no YAML.
pub(super) fn document<T: DeserializeOwned>(text: &str) -> Result<T, SpecError> {
    let mut field = None;
    let read = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error: serde_path_to_error::Error<serde_saphyr::Error>| {
            field = Some(error.path().to_string());
            error.into_inner()
        })
    });
    // Without a field it is what comes after the document, or before anything could be read.
    read.map_err(|error| problem(field.as_deref().unwrap_or("."), &error))
}

/// Several documents, each as a value without a shape.
///
/// # Errors
/// [`SpecError`] with the place in the file where the text is no YAML.
pub(super) fn values(text: &str) -> Result<Vec<serde_json::Value>, SpecError> {
    serde_saphyr::from_multiple(text).map_err(|error| problem(".", &error))
}

fn problem(path: &str, error: &serde_saphyr::Error) -> SpecError {
    let error = error.without_snippet();
    let place = error.location().map(|location| format!("line {}", location.line()));
    let path = match (path, place) {
        ("." | "?" | "", Some(place)) => place,
        ("." | "?" | "", None) => "the document".to_owned(),
        (path, _) => path.to_owned(),
    };
    match error {
        serde_saphyr::Error::MultipleDocuments { .. } => SpecError::new(&path, "another document begins here; keep one"),
        error => SpecError::new(&path, error.render_with_formatter(&serde_saphyr::UserMessageFormatter)),
    }
}
