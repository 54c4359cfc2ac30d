//! How a request is executed: what is common to all endpoints.

mod time;
mod webhooks;

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
    clock::Time,
    counters::Counters,
    errors::ApiError,
    events,
    faults::{Faults, Hit, Kind},
    idempotency::{InFlight, KeyClaim, SavedResponse},
    journal::Journal,
    ledger::{Change, Entry, Ledger},
    params::Params,
    request::ApiRequest,
    response::ApiResponse,
    transaction::{Options, Transaction},
    webhooks::plan::Plan,
};

/// A POST.
pub trait Command: Sized + Send + 'static {
    /// Parameters that Stripe supports and the double doesn't.
    const NOT_COVERED: &'static [&'static str] = &[];
    /// Whether a publishable key is enough: the request comes from a browser.
    const PUBLISHABLE: bool = false;

    /// An error here precedes execution: it is not saved under the idempotency key.
    fn parse(id: &str, params: &mut Params) -> Result<Self, ApiError>;

    /// The ids that only one request at a time may work on.
    fn lock_keys(&self, _ledger: &Ledger) -> Vec<String> {
        Vec::new()
    }

    /// An error here is an outcome: it is saved together with what the transaction has staged by then (a decline is a failed
    /// charge).
    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError>;
}

/// A GET.
pub trait Query: Sized + Send + 'static {
    /// Whether a publishable key is enough, if the request has the object's client secret.
    const PUBLISHABLE: bool = false;

    fn parse(id: &str, params: &mut Params) -> Result<Self, ApiError>;
    fn run(self, view: &Transaction<'_>) -> Result<Value, ApiError>;
}

#[derive(Debug)]
pub struct App {
    pub time: Time,
    pub faults: Faults,
    pub counters: Counters,
    options: Options,
    ledger: RwLock<Ledger>,
    journal: Journal,
    in_flight: InFlight,
    locks: Locks,
    /// Changes after each commit.
    commits: watch::Sender<()>,
    stopping: watch::Receiver<bool>,
}

/// What a command has changed, with its events and their deliveries.
#[derive(Debug, Default)]
struct Staged {
    changes: Vec<Change>,
    /// The deliveries that precede the response.
    before_response: Vec<String>,
}

pub async fn write<C: Command>(
    State(app): State<Arc<App>>,
    id: Option<Path<String>>,
    request: ApiRequest,
) -> Response {
    // A separate task, so that a request runs to completion even if the client disconnects.
    let task = tokio::spawn(async move {
        app.write::<C>(&id.map(|Path(id)| id).unwrap_or_default(), request).await
    });
    match task.await {
        Ok(Ok(response)) => response.into_response(),
        Ok(Err(error)) => ApiResponse::error(error).into_response(),
        Err(error) => {
            tracing::error!(%error, "request handler panicked");
            ApiResponse::error(ApiError::internal()).into_response()
        }
    }
}

pub async fn read<Q: Query>(
    State(app): State<Arc<App>>,
    id: Option<Path<String>>,
    request: ApiRequest,
) -> Response {
    match app.read::<Q>(&id.map(|Path(id)| id).unwrap_or_default(), request).await {
        Ok(response) => response.into_response(),
        Err(error) => ApiResponse::error(error).into_response(),
    }
}

impl App {
    pub fn new(
        time: Time,
        options: Options,
        (journal, ledger): (Journal, Ledger),
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            time,
            faults: Faults::default(),
            counters: Counters::default(),
            options,
            ledger: RwLock::new(ledger),
            journal,
            in_flight: InFlight::default(),
            locks: Locks::default(),
            commits: watch::Sender::new(()),
            stopping,
        }
    }

    /// Contains only what the journal has already made durable.
    pub fn ledger(&self) -> RwLockReadGuard<'_, Ledger> {
        self.ledger.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The committed state.
    pub fn view<'a>(&'a self, ledger: &'a Ledger) -> Transaction<'a> {
        self.begin(ledger, self.time.now_ms(), None)
    }

    pub fn commits(&self) -> watch::Receiver<()> {
        self.commits.subscribe()
    }

    /// Resolves at shutdown.
    pub async fn stopped(&self) {
        let _ = self.stopping.clone().wait_for(|stopping| *stopping).await;
    }

    /// Executes a command that isn't a request to the API.
    pub async fn run<C: Command>(&self, command: C) -> Result<(), ApiError> {
        self.settle_due().await?;
        let request = ApiRequest::internal();
        self.execute(command, &[], &request, String::new(), None).await.map(drop)
    }

    async fn write<C: Command>(
        &self,
        id: &str,
        mut request: ApiRequest,
    ) -> Result<ApiResponse, ApiError> {
        request.access.check(C::PUBLISHABLE)?;
        let fingerprint = request.params.fingerprint();
        let expand = request.params.list("expand");
        let command = C::parse(id, &mut request.params)?;
        std::mem::take(&mut request.params).finish(C::NOT_COVERED)?;

        let claim = match &request.idempotency_key {
            Some(key) => {
                let saved = || self.ledger().response(key, self.time.now_ms()).cloned();
                Some(self.in_flight.begin(key, &request.path, &fingerprint, saved)?)
            }
            None => None,
        };
        let replays = matches!(claim, Some(KeyClaim::Replay(_)));
        let fault = self.faults.hit(request.method.as_str(), &request.path, !replays);
        if !self.before_execution(fault.as_ref()).await? {
            return Ok(ApiResponse::Aborted(request.abort));
        }
        self.settle_due().await?;

        let (response, before_response) = match &claim {
            Some(KeyClaim::Replay(saved)) => (ApiResponse::replayed(saved), Vec::new()),
            Some(KeyClaim::New { .. }) | None => {
                self.execute(command, &expand, &request, fingerprint, fault.as_ref()).await?
            }
        };
        // The outcome is durable; a retry may use the key from now on.
        drop(claim);
        self.wait_for_webhooks(&before_response).await;
        Ok(self.after_execution(response, fault.as_ref(), request).await)
    }

    async fn read<Q: Query>(
        &self,
        id: &str,
        mut request: ApiRequest,
    ) -> Result<ApiResponse, ApiError> {
        request.access.check(Q::PUBLISHABLE)?;
        let expand = request.params.list("expand");
        let query = Q::parse(id, &mut request.params)?;
        std::mem::take(&mut request.params).finish(&[])?;
        let fault = self.faults.hit(request.method.as_str(), &request.path, true);
        if !self.before_execution(fault.as_ref()).await? {
            return Ok(ApiResponse::Aborted(request.abort));
        }
        if fault
            .as_ref()
            .is_some_and(|fault| matches!(fault.kind, Kind::ErrorBefore | Kind::ErrorAfter))
        {
            return Err(ApiError::internal());
        }
        self.settle_due().await?;
        let body = {
            let ledger = self.ledger();
            let mut view = self.begin(&ledger, self.time.now_ms(), None);
            view.access = request.access;
            view.expanded(query.run(&view)?, &expand)?
        };
        Ok(self.after_execution(ApiResponse::ok(&body), fault.as_ref(), request).await)
    }

    /// Executes the command, and makes its effects durable together with its response.
    async fn execute<C: Command>(
        &self,
        command: C,
        expand: &[String],
        request: &ApiRequest,
        fingerprint: String,
        fault: Option<&Hit<Kind>>,
    ) -> Result<(ApiResponse, Vec<String>), ApiError> {
        let lock_keys = command.lock_keys(&self.ledger());
        let _guards = self.locks.lock(&lock_keys).await;
        let now_ms = self.time.now_ms();
        let (staged, outcome) = match fault.map(|fault| fault.kind) {
            Some(Kind::ErrorBefore) => (Staged::default(), Err(ApiError::internal())),
            Some(Kind::ErrorAfter) => {
                (self.stage(command, expand, request, now_ms, fault)?.0, Err(ApiError::internal()))
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
            | None => self.stage(command, expand, request, now_ms, fault)?,
        };
        let saved = request.idempotency_key.as_ref().map(|key| {
            let (status, body) = match &outcome {
                Ok(body) => (200, body.to_string()),
                Err(error) => (error.status.as_u16(), error.body().to_string()),
            };
            let (key, path, request_id) =
                (key.clone(), request.path.clone(), request.request_id.clone());
            SavedResponse { key, path, fingerprint, at_ms: now_ms, request_id, status, body }
        });
        let response = match (&saved, outcome) {
            (Some(saved), _) => ApiResponse::saved(saved),
            (None, Ok(body)) => ApiResponse::ok(&body),
            (None, Err(error)) => ApiResponse::error(error),
        };
        self.commit(Entry { changes: staged.changes, saved }, now_ms).await?;
        Ok((response, staged.before_response))
    }

    fn stage<C: Command>(
        &self,
        command: C,
        expand: &[String],
        request: &ApiRequest,
        now_ms: u64,
        fault: Option<&Hit<Kind>>,
    ) -> Result<(Staged, Result<Value, ApiError>), ApiError> {
        let ledger = self.ledger();
        let mut transaction = self.begin(&ledger, now_ms, fault);
        transaction.request = request.of_event();
        let outcome = command.execute(&mut transaction);
        // An invalid `expand` is a parameter error: it rolls the transaction back.
        let outcome = outcome
            .map(|body| transaction.expanded(body, expand))
            .map_or_else(|error| Ok(Err(error)), |body| body.map(Ok))?;
        Ok((self.finish(transaction), outcome))
    }

    /// Adds the events of what has changed, and their deliveries: they are as durable as their cause.
    fn finish(&self, transaction: Transaction<'_>) -> Staged {
        let events = events::of(&transaction);
        let mut plan = Plan::default();
        for event in &events {
            plan.add(event, transaction.committed(), &self.faults, transaction.now_ms);
        }
        let mut changes = transaction.into_changes();
        changes.extend(events.into_iter().map(Change::Event));
        changes.extend(plan.deliveries.into_iter().map(Change::Delivery));
        Staged { changes, before_response: plan.before_response }
    }

    fn begin<'a>(
        &'a self,
        ledger: &'a Ledger,
        now_ms: u64,
        fault: Option<&Hit<Kind>>,
    ) -> Transaction<'a> {
        let refunds_fail = fault.is_some_and(|fault| fault.kind == Kind::RefundFails);
        Transaction::new(ledger, now_ms, &self.options, refunds_fail)
    }

    /// Writes the journal first, then the ledger that others read; the response is sent after both.
    pub async fn commit(&self, entry: Entry, now_ms: u64) -> Result<(), ApiError> {
        if entry.changes.is_empty() && entry.saved.is_none() {
            return Ok(());
        }
        self.journal.append(&entry).await.map_err(|error| {
            tracing::error!(error = format!("{error:#}"), "journal write failed");
            ApiError::internal()
        })?;
        {
            let mut ledger = self.ledger.write().unwrap_or_else(PoisonError::into_inner);
            ledger.apply(entry);
            ledger.remove_expired_responses(now_ms);
        }
        self.commits.send_replace(());
        Ok(())
    }

    /// Injects a fault before execution. False: the connection is to be closed.
    async fn before_execution(&self, fault: Option<&Hit<Kind>>) -> Result<bool, ApiError> {
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

    /// Injects a fault after execution.
    async fn after_execution(
        &self,
        response: ApiResponse,
        fault: Option<&Hit<Kind>>,
        request: ApiRequest,
    ) -> ApiResponse {
        match fault.map(|fault| (fault.kind, fault.delay())) {
            Some((Kind::CutAfter, _)) => ApiResponse::Aborted(request.abort),
            Some((Kind::Torn, _)) => response.truncated(),
            Some((Kind::Garbled, _)) => response.garbled(),
            Some((Kind::Slow, delay)) => {
                self.wait(delay).await;
                response
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
            | None => response,
        }
    }

    /// A fault's delay ends early at shutdown.
    async fn wait(&self, delay: Duration) {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = self.stopped() => {}
        }
    }
}

/// Striped locks: a fixed number, large enough that two ids rarely share one.
#[derive(Debug)]
struct Locks(Vec<Mutex<()>>);

impl Default for Locks {
    fn default() -> Self {
        Self((0..1024).map(|_| Mutex::new(())).collect())
    }
}

impl Locks {
    /// Locks are taken in one order, so that two requests can't deadlock.
    async fn lock(&self, lock_keys: &[String]) -> Vec<MutexGuard<'_, ()>> {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let mut places: Vec<usize> =
            lock_keys.iter().map(|id| (hasher.hash_one(id) % 1024) as usize).collect();
        places.sort_unstable();
        places.dedup();
        let mut guards = Vec::with_capacity(places.len());
        for place in places {
            guards.push(self.0[place].lock().await);
        }
        guards
    }
}
