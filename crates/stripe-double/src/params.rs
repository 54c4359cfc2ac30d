//! Form-encoded parameters with Stripe's brackets. Reading a parameter removes it; what remains at the end is unknown.

use sha2::{Digest, Sha256};
use url::form_urlencoded;

use crate::errors::ApiError;

#[derive(Debug, Default)]
pub struct Params {
    /// `metadata[order_id]` is `["metadata", "order_id"]`.
    pairs: Vec<(Vec<String>, String)>,
}

impl Params {
    pub fn parse(form: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(form)
            .map(|(name, value)| (path_of(&name), value.into_owned()))
            .collect();
        Self { pairs }
    }

    /// A hash of the parameters that doesn't depend on their order.
    pub fn fingerprint(&self) -> String {
        let mut pairs = self.pairs.clone();
        pairs.sort();
        let digest = Sha256::digest(format!("{pairs:?}"));
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn has(&self, root: &str) -> bool {
        self.pairs.iter().any(|(path, _)| path[0] == root)
    }

    /// The value of `name` (`card[token]`); the last one if it is repeated.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        let path = path_of(name);
        let value = self.take(|given| *given == path).pop().map(|(_, value)| value);
        match value {
            Some(value) if value.is_empty() => Err(ApiError::invalid(format!(
                "You passed an empty string for '{name}'. Remove '{name}' from your request or supply a non-empty value."
            ))
            .code("parameter_invalid_empty")
            .param(name)),
            value => Ok(value),
        }
    }

    pub fn required(&mut self, name: &str) -> Result<String, ApiError> {
        self.text(name)?.ok_or_else(|| ApiError::missing_param(name))
    }

    pub fn integer(&mut self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.text(name)? else { return Ok(None) };
        let invalid = |_| {
            ApiError::invalid(format!("Invalid integer: {value}"))
                .code("parameter_invalid_integer")
                .param(name)
        };
        value.parse().map(Some).map_err(invalid)
    }

    /// An amount of money, which is at least 1.
    pub fn amount(&mut self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.integer(name)? {
            Some(amount) if amount < 1 => {
                Err(ApiError::invalid("This value must be greater than or equal to 1.")
                    .code("parameter_invalid_integer")
                    .param(name))
            }
            amount => Ok(amount),
        }
    }

    pub fn boolean(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.text(name)?.as_deref() {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(other) => Err(ApiError::invalid(format!("Invalid boolean: {other}")).param(name)),
        }
    }

    pub fn one_of(&mut self, name: &str, choices: &[&str]) -> Result<Option<String>, ApiError> {
        match self.text(name)? {
            Some(value) if !choices.contains(&value.as_str()) => Err(ApiError::invalid(format!(
                "Invalid {name}: must be one of {}",
                choices.join(", ")
            ))
            .param(name)),
            value => Ok(value),
        }
    }

    /// `name[]=a&name[]=b` or `name[0]=a&name[1]=b`.
    pub fn list(&mut self, name: &str) -> Vec<String> {
        self.take(|path| path.len() == 2 && path[0] == name)
            .into_iter()
            .map(|(_, value)| value)
            .collect()
    }

    /// `metadata[…]`, within Stripe's limits. An empty value leaves the key out.
    pub fn metadata(&mut self) -> Result<std::collections::BTreeMap<String, String>, ApiError> {
        let taken = self.take(|path| path.len() == 2 && path[0] == "metadata");
        let metadata: std::collections::BTreeMap<_, _> = taken
            .into_iter()
            .filter_map(|(mut path, value)| Some((path.pop()?, value)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let too_long = |(key, value): (&String, &String)| {
            key.chars().count() > 40 || value.chars().count() > 500
        };
        if metadata.len() > 50 || metadata.iter().any(too_long) {
            let message = "Metadata can have up to 50 keys, with names of up to 40 characters and values of up to 500.";
            return Err(ApiError::invalid(message).param("metadata"));
        }
        Ok(metadata)
    }

    /// Discards parameters that Stripe accepts and that have no effect here.
    pub fn ignore(&mut self, roots: &[&str]) {
        self.take(|path| roots.contains(&path[0].as_str()));
    }

    /// Refuses what is left: as unknown to Stripe, or as not covered by the double.
    pub fn finish(self, not_covered: &[&str]) -> Result<(), ApiError> {
        let Some((path, _)) = self.pairs.into_iter().next() else { return Ok(()) };
        let name = name_of(&path);
        if not_covered.contains(&path[0].as_str()) {
            return Err(ApiError::not_covered(&format!("The parameter {name}"), &name));
        }
        Err(ApiError::invalid(format!("Received unknown parameter: {name}"))
            .code("parameter_unknown")
            .param(&name))
    }

    fn take(&mut self, wanted: impl Fn(&Vec<String>) -> bool) -> Vec<(Vec<String>, String)> {
        let (taken, left) =
            std::mem::take(&mut self.pairs).into_iter().partition(|(path, _)| wanted(path));
        self.pairs = left;
        taken
    }
}

fn path_of(name: &str) -> Vec<String> {
    let mut parts = name.split('[');
    let root = parts.next().unwrap_or_default().to_owned();
    std::iter::once(root).chain(parts.map(|part| part.trim_end_matches(']').to_owned())).collect()
}

fn name_of(path: &[String]) -> String {
    path.iter().skip(1).fold(path[0].clone(), |name, part| format!("{name}[{part}]"))
}

#[cfg(test)]
mod tests {
    use super::Params;

    #[test]
    fn brackets_nest_and_may_be_percent_encoded() {
        let mut params =
            Params::parse(b"card%5Btoken%5D=tok_visa&metadata[order_id]=7&expand[]=a&expand[]=b");
        assert_eq!(params.required("card[token]").unwrap(), "tok_visa");
        assert_eq!(params.metadata().unwrap()["order_id"], "7");
        assert_eq!(params.list("expand"), ["a", "b"]);
        params.finish(&[]).unwrap();
    }

    #[test]
    fn a_parameter_that_was_not_read_is_unknown() {
        let error = Params::parse(b"shape[round]=yes").finish(&[]).unwrap_err();
        assert_eq!(error.fields["code"], "parameter_unknown");
        assert_eq!(error.fields["param"], "shape[round]");
    }

    #[test]
    fn the_fingerprint_does_not_depend_on_the_order_of_parameters() {
        assert_eq!(
            Params::parse(b"a=1&b=2").fingerprint(),
            Params::parse(b"b=2&a=1").fingerprint()
        );
        assert_ne!(
            Params::parse(b"a=1&b=2").fingerprint(),
            Params::parse(b"a=1&b=3").fingerprint()
        );
    }
}
