//! One SMTP connection (RFC 5321), with STARTTLS (RFC 3207) and AUTH (RFC 4954). Commands may be pipelined (RFC 2920).

use std::{io, slice::Iter, sync::Arc, time::Duration};

use anyhow::bail;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use smtp_proto::{
    AUTH_LOGIN, AUTH_PLAIN, EXT_8BIT_MIME, EXT_AUTH, EXT_ENHANCED_STATUS_CODES, EXT_PIPELINING,
    EXT_SIZE, EXT_SMTP_UTF8, EXT_START_TLS, EhloResponse, Error as SyntaxError, Request,
    request::receiver::{DataReceiver, LineReceiver, RequestReceiver},
};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    faults::{Kind, Stage},
    mailbox::Envelope,
    state::State,
    stream::Stream,
};

const HOST: &str = "mail-double";
/// The largest message.
const MAX_MESSAGE: usize = 25 << 20;

/// What the server was started with.
#[derive(Debug)]
pub struct Rules {
    pub credentials: Option<(String, String)>,
    pub idle: Duration,
}

/// Serves a connection until the client leaves, a fault ends it, or the server stops.
pub async fn serve(
    socket: TcpStream,
    state: Arc<State>,
    rules: Arc<Rules>,
    mut stopping: watch::Receiver<bool>,
) {
    state.stats.connected();
    let session = Session {
        stream: Stream::Plain(socket),
        state,
        rules,
        user: None,
        from: None,
        to: Vec::new(),
        awaits: Awaits::Command(RequestReceiver::default()),
    };
    tokio::select! {
        ended = session.run() => if let Err(error) = ended {
            tracing::debug!(error = format!("{error:#}"), "connection ended");
        },
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
}

/// What the next bytes are.
enum Awaits {
    Command(RequestReceiver),
    Message(DataReceiver, Vec<u8>),
    /// Lines of AUTH: PLAIN's one, or LOGIN's two.
    Plain(LineReceiver<()>),
    LoginUser(LineReceiver<()>),
    LoginPassword(LineReceiver<()>, String),
}

struct Session {
    stream: Stream,
    state: Arc<State>,
    rules: Arc<Rules>,
    user: Option<String>,
    from: Option<String>,
    to: Vec<String>,
    awaits: Awaits,
}

/// What follows from a command.
enum Next {
    Continue,
    Encrypt,
    Close,
}

impl Session {
    async fn run(mut self) -> anyhow::Result<()> {
        if let Next::Close = self.answer(Stage::Connect, "220 mail-double ESMTP\r\n").await? {
            return Ok(());
        }
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let Ok(read) = timeout(self.rules.idle, self.stream.read(&mut buffer)).await else {
                self.stream.write(b"421 4.4.2 idle for too long\r\n").await?;
                self.state.stats.closed();
                return Ok(());
            };
            let read = read?;
            if read == 0 {
                return Ok(());
            }
            let mut bytes = buffer[..read].iter();
            while !bytes.as_slice().is_empty() {
                match self.ingest(&mut bytes).await? {
                    Next::Continue => {}
                    Next::Encrypt => {
                        // What came with the command in plain text doesn't count (RFC 3207 §4.2).
                        let acceptor = self.state.identity.acceptor.clone();
                        self.stream = self.stream.encrypt(&acceptor).await?;
                        (self.user, self.from) = (None, None);
                        self.to.clear();
                        break;
                    }
                    Next::Close => return Ok(()),
                }
            }
        }
    }

    /// Takes what belongs to the next command, line or message, and executes it if it is complete.
    async fn ingest(&mut self, bytes: &mut Iter<'_, u8>) -> anyhow::Result<Next> {
        match &mut self.awaits {
            Awaits::Command(receiver) => {
                let request = receiver.ingest(bytes).map(Request::into_owned);
                match request {
                    Ok(request) => self.execute(request).await,
                    Err(SyntaxError::NeedsMoreData { .. }) => Ok(Next::Continue),
                    Err(SyntaxError::ResponseTooLong) => bail!("a line is too long"),
                    Err(error) => self.reply(&format!("501 5.5.2 {error}\r\n")).await,
                }
            }
            Awaits::Message(receiver, message) => {
                if !receiver.ingest(bytes, message) {
                    if message.len() > MAX_MESSAGE {
                        bail!("the message is too large");
                    }
                    return Ok(Next::Continue);
                }
                let message = std::mem::take(message);
                self.awaits = Awaits::Command(RequestReceiver::default());
                self.accept(message).await
            }
            Awaits::Plain(line) | Awaits::LoginUser(line) | Awaits::LoginPassword(line, _) => {
                if !line.ingest(bytes) {
                    return Ok(Next::Continue);
                }
                let line = String::from_utf8_lossy(&line.buf).into_owned();
                self.authenticate(&line).await
            }
        }
    }

    async fn execute(&mut self, request: Request<String>) -> anyhow::Result<Next> {
        match request {
            Request::Ehlo { .. } => {
                let mut reply = EhloResponse::new(HOST);
                reply.capabilities = EXT_8BIT_MIME
                    | EXT_AUTH
                    | EXT_ENHANCED_STATUS_CODES
                    | EXT_PIPELINING
                    | EXT_SIZE
                    | EXT_SMTP_UTF8;
                if !self.stream.is_encrypted() {
                    reply.capabilities |= EXT_START_TLS;
                }
                reply.auth_mechanisms = AUTH_PLAIN | AUTH_LOGIN;
                reply.size = MAX_MESSAGE;
                let mut text = Vec::new();
                reply.write(&mut text)?;
                self.stream.write(&text).await?;
                Ok(Next::Continue)
            }
            Request::Helo { .. } => self.reply("250 mail-double\r\n").await,
            Request::StartTls if self.stream.is_encrypted() => {
                self.reply("503 5.5.1 encrypted already\r\n").await
            }
            Request::StartTls => {
                self.reply("220 2.0.0 go ahead\r\n").await?;
                Ok(Next::Encrypt)
            }
            Request::Auth { mechanism, initial_response } => {
                self.begin_authentication(mechanism, &initial_response).await
            }
            Request::Mail { .. } if self.rules.credentials.is_some() && self.user.is_none() => {
                self.reply("530 5.7.0 authentication required\r\n").await
            }
            Request::Mail { from } => {
                self.from = Some(from.address);
                self.to.clear();
                self.answer(Stage::Mail, "250 2.1.0 sender ok\r\n").await
            }
            Request::Rcpt { .. } if self.from.is_none() => {
                self.reply("503 5.5.1 MAIL first\r\n").await
            }
            Request::Rcpt { to } => {
                self.to.push(to.address);
                self.answer(Stage::Rcpt, "250 2.1.5 recipient ok\r\n").await
            }
            Request::Data if self.to.is_empty() => self.reply("503 5.5.1 RCPT first\r\n").await,
            Request::Data => {
                self.awaits = Awaits::Message(DataReceiver::new(), Vec::new());
                self.answer(Stage::Data, "354 end with a dot\r\n").await
            }
            Request::Rset => {
                self.from = None;
                self.to.clear();
                self.reply("250 2.0.0 ok\r\n").await
            }
            Request::Noop { .. } => self.reply("250 2.0.0 ok\r\n").await,
            Request::Quit => {
                self.reply("221 2.0.0 bye\r\n").await?;
                Ok(Next::Close)
            }
            Request::Lhlo { .. }
            | Request::Bdat { .. }
            | Request::Vrfy { .. }
            | Request::Expn { .. }
            | Request::Help { .. }
            | Request::Etrn { .. }
            | Request::Atrn { .. }
            | Request::Burl { .. } => self.reply("502 5.5.1 not implemented\r\n").await,
        }
    }

    async fn begin_authentication(
        &mut self,
        mechanism: u64,
        initial: &str,
    ) -> anyhow::Result<Next> {
        let (awaits, challenge) = match mechanism {
            AUTH_PLAIN => (Awaits::Plain(LineReceiver::default()), "334 \r\n"),
            AUTH_LOGIN => (Awaits::LoginUser(LineReceiver::default()), "334 VXNlcm5hbWU6\r\n"),
            _ => return self.reply("504 5.5.4 PLAIN or LOGIN\r\n").await,
        };
        self.awaits = awaits;
        if initial.is_empty() {
            self.reply(challenge).await
        } else {
            self.authenticate(initial).await
        }
    }

    /// A line of AUTH, in Base64.
    async fn authenticate(&mut self, line: &str) -> anyhow::Result<Next> {
        let awaited =
            std::mem::replace(&mut self.awaits, Awaits::Command(RequestReceiver::default()));
        let decoded = BASE64_STANDARD.decode(line.trim()).ok();
        let Some(text) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) else {
            return self.reply("501 5.5.2 not Base64\r\n").await;
        };
        let (user, password) = match awaited {
            Awaits::LoginUser(_) => {
                self.awaits = Awaits::LoginPassword(LineReceiver::default(), text);
                return self.reply("334 UGFzc3dvcmQ6\r\n").await;
            }
            Awaits::LoginPassword(_, user) => (user, text),
            // authorization id, user, password (RFC 4616)
            Awaits::Plain(_) | Awaits::Command(_) | Awaits::Message(..) => {
                let mut parts = text.splitn(3, '\0').skip(1).map(str::to_owned);
                (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
            }
        };
        let given = (user, password);
        if self.rules.credentials.as_ref().is_some_and(|known| *known != given) {
            return self.reply("535 5.7.8 wrong user or password\r\n").await;
        }
        self.user = Some(given.0);
        self.answer(Stage::Auth, "235 2.7.0 authenticated\r\n").await
    }

    /// The whole message has come.
    async fn accept(&mut self, raw: Vec<u8>) -> anyhow::Result<Next> {
        self.state.stats.received();
        let fault = self.state.faults.hit(Stage::Message, &self.to);
        let envelope = Envelope {
            from: self.from.take().unwrap_or_default(),
            to: std::mem::take(&mut self.to),
            tls: self.stream.is_encrypted(),
            user: self.user.clone(),
            received_at: now(),
        };
        let kind = fault.as_ref().map(|fault| fault.kind);
        let keeps = match kind {
            None | Some(Kind::Slow | Kind::HangAccepted | Kind::CloseAccepted) => true,
            Some(Kind::Temporary | Kind::Permanent | Kind::Full | Kind::Hang | Kind::Close) => {
                false
            }
        };
        let mut reply = "250 2.0.0 accepted\r\n".to_owned();
        if keeps {
            let state = Arc::clone(&self.state);
            let kept = tokio::task::spawn_blocking(move || state.mailbox.add(envelope, raw));
            match kept.await? {
                Ok(id) => reply = format!("250 2.0.0 accepted as {id}\r\n"),
                Err(error) => {
                    tracing::error!(%error, "a mail could not be stored");
                    reply = "451 4.3.0 it could not be stored\r\n".to_owned();
                }
            }
        }
        self.suffer(Stage::Message, kind, fault.map(|fault| fault.delay()), &reply).await
    }

    /// Replies, unless a fault hits.
    async fn answer(&mut self, stage: Stage, reply: &str) -> anyhow::Result<Next> {
        let fault = self.state.faults.hit(stage, &self.to);
        let (kind, delay) = (fault.as_ref().map(|it| it.kind), fault.map(|it| it.delay()));
        let next = self.suffer(stage, kind, delay, reply).await?;
        if stage == Stage::Data
            && matches!(kind, Some(Kind::Temporary | Kind::Permanent | Kind::Full))
        {
            self.awaits = Awaits::Command(RequestReceiver::default());
        }
        Ok(next)
    }

    async fn suffer(
        &mut self,
        stage: Stage,
        kind: Option<Kind>,
        delay: Option<Duration>,
        reply: &str,
    ) -> anyhow::Result<Next> {
        let refusal = match kind {
            None => return self.reply(reply).await,
            Some(Kind::Slow) => {
                sleep(delay.unwrap_or_default()).await;
                return self.reply(reply).await;
            }
            Some(Kind::Hang | Kind::HangAccepted) => {
                sleep(delay.unwrap_or_default()).await;
                return Ok(Next::Close);
            }
            Some(Kind::Close | Kind::CloseAccepted) => return Ok(Next::Close),
            Some(Kind::Temporary) if stage == Stage::Connect => "421 4.3.2 not available\r\n",
            Some(Kind::Permanent) if stage == Stage::Connect => "554 5.3.2 no service\r\n",
            Some(Kind::Temporary) => "451 4.3.0 try again later\r\n",
            Some(Kind::Permanent) => "550 5.1.1 no such mailbox\r\n",
            Some(Kind::Full) => "452 4.3.1 out of space\r\n",
        };
        self.reply(refusal).await?;
        Ok(if stage == Stage::Connect { Next::Close } else { Next::Continue })
    }

    async fn reply(&mut self, text: &str) -> anyhow::Result<Next> {
        self.stream.write(text.as_bytes()).await?;
        Ok(Next::Continue)
    }
}

#[expect(clippy::disallowed_methods, reason = "this program stands for one of somebody else's")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// Accepts connections until the server stops.
pub async fn listen(
    listener: tokio::net::TcpListener,
    state: Arc<State>,
    rules: Arc<Rules>,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        let accepted: io::Result<_> = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        match accepted {
            Ok((socket, _)) => {
                // Replies are small, and each is awaited. It fails only for a closed connection.
                _ = socket.set_nodelay(true);
                let (state, rules) = (Arc::clone(&state), Arc::clone(&rules));
                tokio::spawn(serve(socket, state, rules, stopping.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "can't accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
