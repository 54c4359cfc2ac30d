//! `expand[]`: ids replaced by the objects that they refer to. <https://docs.stripe.com/api/expanding_objects>

use serde_json::Value;

use crate::{errors::ApiError, transaction::Transaction};

impl Transaction<'_> {
    /// Each of `paths` is `latest_charge`, `charge.payment_intent`, or for a list `data.latest_charge`.
    pub fn expanded(&self, mut body: Value, paths: &[String]) -> Result<Value, ApiError> {
        for path in paths {
            let fields: Vec<&str> = path.split('.').collect();
            if fields.len() > 4 || !self.expand(&mut body, &fields) {
                return Err(ApiError::invalid(format!(
                    "This property cannot be expanded ({path})."
                ))
                .param("expand"));
            }
        }
        Ok(body)
    }

    fn expand(&self, value: &mut Value, fields: &[&str]) -> bool {
        let Some((field, rest)) = fields.split_first() else { return true };
        match value.get_mut(field) {
            None => false,
            Some(Value::Null) => true,
            Some(Value::Array(items)) => {
                !rest.is_empty() && items.iter_mut().all(|item| self.expand(item, rest))
            }
            Some(inner) => {
                if let Some(object) = inner.as_str().and_then(|id| self.render_by_id(id)) {
                    *inner = object;
                }
                inner.is_object() && self.expand(inner, rest)
            }
        }
    }
}
