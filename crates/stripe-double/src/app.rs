//! How a request becomes an answer: what is common to all endpoints.

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard, watch};

use crate::{
    answer::Answer,
    call::Call,
    clock::Clock,
    counters::Counters,
    draft::Draft,
    errors::ApiError,
    faults::{Fault, Faults, Kind},
    idempotency::{self, InFlight, Saved, Turn},
    journal::Journal,
    ledger::{Change, Entry, Ledger},
    params::Params,
};

/// A POST.
pub trait Command: Sized + Send + 'static {
    /// Parameters that Stripe knows and the double doesn't.
    const NOT_COVERED: &'static [&'static str] = &[];

    /// An error in here comes before execution: it is not saved under the idempotency key.
    fn parse(id: &str, params: &mut Params) -> Result<Self, ApiError>;

    /// The things that no two requests may work on at once.
    fn subjects(&self, _ledger: &Ledger) -> Vec<String> {
        Vec::new()
    }

    /// An error in here is an outcome: it is saved, and so is what the draft holds by then (a decline is a failed charge).
    fn execute(self, draft: &mut Draft<'_>) -> Result<Value, ApiError>;
}

/// A GET.
pub trait Query: Sized + Send + 'static {
    fn parse(id: &str, params: &mut Params) -> Result<Self, ApiError>;
    fn answer(self, view: &Draft<'_>) -> Result<Value, ApiError>;
}

#[derive(Debug)]
pub struct App {
    pub clock: Clock,
    pub faults: Faults,
    pub counters: Counters,
    refund_settles_after: Duration,
    ledger: RwLock<Ledger>,
    journal: Journal,
    in_flight: InFlight,
    locks: Locks,
    stopping: watch::Receiver<bool>,
}

pub async fn write<C: Command>(
    State(app): State<Arc<App>>,
    id: Option<Path<String>>,
    call: Call,
) -> Response {
    // A task of its own: what has begun is finished, also when the client has hung up.
    let task = tokio::spawn(async move {
        app.write::<C>(&id.map(|Path(id)| id).unwrap_or_default(), call).await
    });
    match task.await {
        Ok(Ok(answer)) => answer.into_response(),
        Ok(Err(error)) => Answer::error(error).into_response(),
        Err(error) => {
            tracing::error!(%error, "a request ended badly");
            Answer::error(ApiError::internal()).into_response()
        }
    }
}

pub async fn read<Q: Query>(
    State(app): State<Arc<App>>,
    id: Option<Path<String>>,
    call: Call,
) -> Response {
    match app.read::<Q>(&id.map(|Path(id)| id).unwrap_or_default(), call).await {
        Ok(answer) => answer.into_response(),
        Err(error) => Answer::error(error).into_response(),
    }
}

impl App {
    pub fn new(
        clock: Clock,
        refund_settles_after: Duration,
        (journal, ledger): (Journal, Ledger),
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            clock,
            faults: Faults::default(),
            counters: Counters::default(),
            refund_settles_after,
            ledger: RwLock::new(ledger),
            journal,
            in_flight: InFlight::default(),
            locks: Locks::default(),
            stopping,
        }
    }

    /// Only what is on the disk is ever seen here.
    pub fn ledger(&self) -> RwLockReadGuard<'_, Ledger> {
        self.ledger.read().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write<C: Command>(&self, id: &str, mut call: Call) -> Result<Answer, ApiError> {
        let fingerprint = call.params.fingerprint();
        let expand = call.params.list("expand");
        let command = C::parse(id, &mut call.params)?;
        std::mem::take(&mut call.params).finish(C::NOT_COVERED)?;

        let turn = match &call.idempotency_key {
            Some(key) => {
                let saved = || idempotency::saved_in(&self.ledger(), key, self.clock.now_ms());
                Some(self.in_flight.begin(key, &call.path, &fingerprint, saved)?)
            }
            None => None,
        };
        let replays = matches!(turn, Some(Turn::Again(_)));
        let fault = self.faults.hit(call.method.as_str(), &call.path, !replays);
        if !self.passes(fault.as_ref()).await? {
            return Ok(Answer::Cut(call.scissors));
        }

        let answer = match &turn {
            Some(Turn::Again(saved)) => Answer::replayed(saved),
            Some(Turn::First { .. }) | None => {
                self.execute(command, &expand, &call, fingerprint, fault.as_ref()).await?
            }
        };
        // From here on the outcome is settled, and its key free for a retry.
        drop(turn);
        Ok(self.returned(answer, fault.as_ref(), call).await)
    }

    async fn read<Q: Query>(&self, id: &str, mut call: Call) -> Result<Answer, ApiError> {
        let expand = call.params.list("expand");
        let query = Q::parse(id, &mut call.params)?;
        std::mem::take(&mut call.params).finish(&[])?;
        let fault = self.faults.hit(call.method.as_str(), &call.path, true);
        if !self.passes(fault.as_ref()).await? {
            return Ok(Answer::Cut(call.scissors));
        }
        if fault
            .as_ref()
            .is_some_and(|fault| matches!(fault.kind, Kind::ErrorBefore | Kind::ErrorAfter))
        {
            return Err(ApiError::internal());
        }
        let body = {
            let ledger = self.ledger();
            let view = self.draft(&ledger, self.clock.now_ms(), None);
            view.expanded(query.answer(&view)?, &expand)?
        };
        Ok(self.returned(Answer::ok(&body), fault.as_ref(), call).await)
    }

    /// Does the work, and makes it durable together with its answer.
    async fn execute<C: Command>(
        &self,
        command: C,
        expand: &[String],
        call: &Call,
        fingerprint: String,
        fault: Option<&Fault>,
    ) -> Result<Answer, ApiError> {
        let subjects = command.subjects(&self.ledger());
        let _alone = self.locks.lock(&subjects).await;
        let now_ms = self.clock.now_ms();
        let (changes, outcome) = match fault.map(|fault| fault.kind) {
            Some(Kind::ErrorBefore) => (Vec::new(), Err(ApiError::internal())),
            Some(Kind::ErrorAfter) => {
                (self.drafted(command, expand, now_ms, fault)?.0, Err(ApiError::internal()))
            }
            Some(
                Kind::Hang
                | Kind::Cut
                | Kind::CutAfter
                | Kind::Torn
                | Kind::Garbled
                | Kind::Slow
                | Kind::Late
                | Kind::RateLimit
                | Kind::RefundFails,
            )
            | None => self.drafted(command, expand, now_ms, fault)?,
        };
        let saved = call.idempotency_key.as_ref().map(|key| {
            let (status, body) = match &outcome {
                Ok(body) => (200, body.to_string()),
                Err(error) => (error.status.as_u16(), error.body().to_string()),
            };
            let (key, path, request_id) = (key.clone(), call.path.clone(), call.request_id.clone());
            Saved { key, path, fingerprint, at_ms: now_ms, request_id, status, body }
        });
        let answer = match (&saved, outcome) {
            (Some(saved), _) => Answer::first(saved),
            (None, Ok(body)) => Answer::ok(&body),
            (None, Err(error)) => Answer::error(error),
        };
        self.commit(Entry { changes, saved }, now_ms).await?;
        Ok(answer)
    }

    fn drafted<C: Command>(
        &self,
        command: C,
        expand: &[String],
        now_ms: u64,
        fault: Option<&Fault>,
    ) -> Result<(Vec<Change>, Result<Value, ApiError>), ApiError> {
        let ledger = self.ledger();
        let mut draft = self.draft(&ledger, now_ms, fault);
        let outcome = command.execute(&mut draft);
        // A bad `expand` is a bad parameter: it undoes the draft.
        let outcome = outcome
            .map(|body| draft.expanded(body, expand))
            .map_or_else(|error| Ok(Err(error)), |body| body.map(Ok))?;
        Ok((draft.into_changes(), outcome))
    }

    fn draft<'a>(&self, ledger: &'a Ledger, now_ms: u64, fault: Option<&Fault>) -> Draft<'a> {
        let refunds_fail = fault.is_some_and(|fault| fault.kind == Kind::RefundFails);
        Draft::new(ledger, now_ms, self.refund_settles_after, refunds_fail)
    }

    /// First the disk, then the memory that others read, then the answer.
    async fn commit(&self, entry: Entry, now_ms: u64) -> Result<(), ApiError> {
        if entry.changes.is_empty() && entry.saved.is_none() {
            return Ok(());
        }
        self.journal.append(&entry).await.map_err(|error| {
            tracing::error!(error = format!("{error:#}"), "nothing can be kept");
            ApiError::internal()
        })?;
        let mut ledger = self.ledger.write().unwrap_or_else(PoisonError::into_inner);
        ledger.apply(entry);
        ledger.forget_expired_answers(now_ms);
        Ok(())
    }

    /// What goes wrong on the way in. False: the connection is cut.
    async fn passes(&self, fault: Option<&Fault>) -> Result<bool, ApiError> {
        let Some(fault) = fault else { return Ok(true) };
        match fault.kind {
            Kind::RateLimit => Err(ApiError::rate_limit()),
            Kind::Cut => Ok(false),
            Kind::Hang => {
                self.wait(fault.delay()).await;
                Ok(false)
            }
            Kind::Late => {
                self.wait(fault.delay()).await;
                Ok(true)
            }
            Kind::ErrorBefore
            | Kind::ErrorAfter
            | Kind::CutAfter
            | Kind::Torn
            | Kind::Garbled
            | Kind::Slow
            | Kind::RefundFails => Ok(true),
        }
    }

    /// What goes wrong on the way out.
    async fn returned(&self, answer: Answer, fault: Option<&Fault>, call: Call) -> Answer {
        match fault.map(|fault| (fault.kind, fault.delay())) {
            Some((Kind::CutAfter, _)) => Answer::Cut(call.scissors),
            Some((Kind::Torn, _)) => answer.torn(),
            Some((Kind::Garbled, _)) => answer.garbled(),
            Some((Kind::Slow, delay)) => {
                self.wait(delay).await;
                answer
            }
            Some((
                Kind::ErrorBefore
                | Kind::ErrorAfter
                | Kind::Hang
                | Kind::Cut
                | Kind::Late
                | Kind::RateLimit
                | Kind::RefundFails,
                _,
            ))
            | None => answer,
        }
    }

    /// A stop doesn't wait for a delay that was asked for.
    async fn wait(&self, delay: Duration) {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }
}

/// One lock for many things: few enough to keep, many enough that two things seldom share one.
#[derive(Debug)]
struct Locks(Vec<Mutex<()>>);

impl Default for Locks {
    fn default() -> Self {
        Self((0..1024).map(|_| Mutex::new(())).collect())
    }
}

impl Locks {
    /// Always in the same order, so that two requests never wait for each other.
    async fn lock(&self, subjects: &[String]) -> Vec<MutexGuard<'_, ()>> {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let mut places: Vec<usize> =
            subjects.iter().map(|id| (hasher.hash_one(id) % 1024) as usize).collect();
        places.sort_unstable();
        places.dedup();
        let mut guards = Vec::with_capacity(places.len());
        for place in places {
            guards.push(self.0[place].lock().await);
        }
        guards
    }
}
