//! Pagination of lists, newest first. <https://docs.stripe.com/api/pagination>

use serde_json::{Value, json};

use crate::{errors::ApiError, params::Params};

#[derive(Debug)]
pub struct Page {
    limit: usize,
    starting_after: Option<String>,
    ending_before: Option<String>,
    created: Vec<(Bound, u64)>,
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    Exactly,
    After,
    From,
    Before,
    Until,
}

const BOUNDS: &[(&str, Bound)] = &[
    ("created", Bound::Exactly),
    ("created[gt]", Bound::After),
    ("created[gte]", Bound::From),
    ("created[lt]", Bound::Before),
    ("created[lte]", Bound::Until),
];

impl Page {
    pub fn parse(params: &mut Params) -> Result<Self, ApiError> {
        let limit = params.integer("limit")?.unwrap_or(10);
        if !(1..=100).contains(&limit) {
            let message = "The limit must be between 1 and 100.";
            return Err(ApiError::invalid(message)
                .code("parameter_invalid_integer")
                .param("limit"));
        }
        let mut created = Vec::new();
        for (name, bound) in BOUNDS {
            if let Some(seconds) = params.integer(name)? {
                created.push((*bound, u64::try_from(seconds).unwrap_or(0)));
            }
        }
        let (starting_after, ending_before) =
            (params.text("starting_after")?, params.text("ending_before")?);
        if starting_after.is_some() && ending_before.is_some() {
            let message = "You can only use one of starting_after and ending_before.";
            return Err(ApiError::invalid(message).code("parameters_exclusive"));
        }
        Ok(Self {
            limit: usize::try_from(limit).unwrap_or(10),
            starting_after,
            ending_before,
            created,
        })
    }

    /// `oldest_first` yields (id, created, object), sorted by id and thereby by creation time.
    pub fn of<'a, T: 'a>(
        &self,
        url: &str,
        oldest_first: impl DoubleEndedIterator<Item = (&'a str, u64, &'a T)>,
        render: impl Fn(&T) -> Value,
    ) -> Value {
        let mut fitting = oldest_first.filter(|(_, created, _)| self.includes(*created));
        let one_more = self.limit + 1;
        let mut found: Vec<&T> = match (&self.starting_after, &self.ending_before) {
            (_, Some(before)) => fitting
                .filter(|(id, ..)| *id > before.as_str())
                .take(one_more)
                .map(|(.., it)| it)
                .collect(),
            (Some(after), None) => fitting
                .by_ref()
                .rev()
                .filter(|(id, ..)| *id < after.as_str())
                .take(one_more)
                .map(|(.., it)| it)
                .collect(),
            (None, None) => fitting.rev().take(one_more).map(|(.., it)| it).collect(),
        };
        let has_more = found.len() > self.limit;
        found.truncate(self.limit);
        if self.ending_before.is_some() {
            found.reverse();
        }
        let data: Vec<Value> = found.into_iter().map(render).collect();
        json!({ "object": "list", "url": url, "has_more": has_more, "data": data })
    }

    fn includes(&self, created: u64) -> bool {
        self.created.iter().all(|(bound, seconds)| match bound {
            Bound::Exactly => created == *seconds,
            Bound::After => created > *seconds,
            Bound::From => created >= *seconds,
            Bound::Before => created < *seconds,
            Bound::Until => created <= *seconds,
        })
    }
}
