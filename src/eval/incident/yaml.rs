//! YAML text into a document. What is wrong is said with the path of its field, in one line and without a picture of the file.

use serde::de::DeserializeOwned;

use crate::crd::SpecError;

/// One document.
///
/// # Errors
/// [`SpecError`] with the path of the field that could not be read; a place in the file where the text is no YAML.
pub(super) fn document<T: DeserializeOwned>(text: &str) -> Result<T, SpecError> {
    let read = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        Ok(serde_path_to_error::deserialize::<_, T>(deserializer).map_err(|error| {
            let path = error.path().to_string();
            problem(&path, error.inner())
        }))
    });
    read.unwrap_or_else(|error| Err(problem(".", &error)))
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
    SpecError::new(&path, error.render())
}
