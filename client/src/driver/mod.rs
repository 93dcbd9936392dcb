//! The driver: the one task that owns the connection, and everything that outlives one.
//!
//! It waits in one place, [`Driver::input`], and decides everything else without waiting: no
//! queue that is full, no lane and no application can stop acks and requests.
//!
//! * [`dial`] and [`greet`]: from targets to a welcomed session.
//! * [`link`]: one connection. [`lanes`] and [`follow`]: its rooms' entries.
//! * [`older`]: pages of older entries.
//! * [`doubt`]: messages whose fate will not be known.
//! * [`control`]: answers of the node. [`requests`]: what they answer. [`rooms`]: who is where.
//! * [`typing`]: who is typing, in datagrams.
//! * [`reconnect`]: losing a connection, getting another, moving. [`closing`]: the end.

mod closing;
mod control;
mod dial;
mod doubt;
mod follow;
mod greet;
mod lanes;
mod link;
mod older;
mod reconnect;
mod requests;
mod rooms;
mod trouble;
mod typing;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use chat_protocol::Nonce;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, info_span};

use crate::backoff::Backoff;
pub(crate) use crate::driver::dial::resolve;
pub(crate) use crate::driver::trouble::Trouble;

use crate::builder::Settings;
use crate::client::Client;
use crate::command::{COMMANDS_LEN_MAX, Command, Handle, Older, Session, Shared};
use crate::driver::closing::{Closing, Ending};
use crate::driver::dial::{DialError, Dialer, Established};
use crate::driver::doubt::SleepWatch;
use crate::driver::lanes::Note;
use crate::driver::link::{Link, LinkInput};
use crate::driver::reconnect::{former_of, hello, welcomed};
use crate::driver::requests::Requests;
use crate::driver::rooms::RoomEntry;
use crate::error::ConnectError;
use crate::event::Disconnect;
use crate::events::{EventQueue, Events};
use crate::lock::lock;
use crate::outgoing::{LocalRoom, Outgoing};
use crate::session::SessionTicket;
use crate::target::Target;

/// Connects for the first time and starts the driver.
pub(crate) async fn connect(
    targets: Vec<Target>,
    settings: Settings,
    resume: Option<SessionTicket>,
) -> Result<(Client, Events), ConnectError> {
    let dialer = Arc::new(Dialer::new(&settings)?);
    let hello = hello(&settings, settings.name.clone(), resume);
    let established = dialer
        .dial(&targets, hello)
        .await
        .map_err(DialError::into_connect_error)?;
    let used = if resume.is_some() {
        nonces_of_former_process()
    } else {
        Nonce(0)
    };
    let welcome = &established.greeted.welcome;
    let session = Session {
        welcomed: welcomed(&established.target, welcome),
        secret: welcome.secret,
        former: former_of(resume, welcome),
    };
    let shared = Arc::new(Shared {
        outgoing: Mutex::new(Outgoing::new(crate::PUBLISHES_LEN_MAX, used)),
        typing: Mutex::default(),
        published: Notify::new(),
        session: Mutex::new(session),
        rooms: Mutex::default(),
        line: Mutex::default(),
        trust: settings.trust.clone(),
        events: EventQueue::new(settings.events_len_max),
        close: CancellationToken::new(),
        abandon: CancellationToken::new(),
        reconnect: Notify::new(),
        ended: CancellationToken::new(),
    });
    let (commands, received) = mpsc::channel(COMMANDS_LEN_MAX);
    let (notes_sender, notes) = mpsc::channel(NOTES_LEN_MAX);
    let id = welcome.session;
    let mut driver = Driver {
        shared: Arc::clone(&shared),
        settings,
        dialer,
        targets,
        learned: Vec::new(),
        turn: 0,
        commands: received,
        has_handles: true,
        notes,
        notes_sender,
        link: None,
        dialing: None,
        dial_at: None,
        backoff: Backoff::of_connects(),
        requests: Requests::default(),
        older: VecDeque::new(),
        rooms: BTreeMap::new(),
        numbered: 0,
        sleep: SleepWatch::new(Instant::now(), SystemTime::now()),
        closing: None,
        end: None,
    };
    driver.install(established, Instant::now());
    // The task ends with its handles; nobody waits for it but who closes the client.
    TaskTracker::new().spawn(
        driver
            .run()
            .instrument(info_span!("chat_client", session = %id)),
    );
    Ok((
        Client::new(Handle::new(commands, Arc::clone(&shared))),
        Events::new(shared),
    ))
}

/// Everything of a client that outlives a connection, and the connection.
struct Driver {
    shared: Arc<Shared>,
    settings: Settings,
    dialer: Arc<Dialer>,
    targets: Vec<Target>,
    /// Nodes that a goaway told of.
    learned: Vec<Target>,
    /// Which target comes first at the next attempt.
    turn: usize,
    commands: mpsc::Receiver<Box<Command>>,
    has_handles: bool,
    notes: mpsc::Receiver<Box<Note>>,
    notes_sender: mpsc::Sender<Box<Note>>,
    link: Option<Link>,
    /// An attempt to connect: instead of `link`, or beside it to move away from its node.
    dialing: Option<BoxFuture<'static, Result<Established, DialError>>>,
    /// When the next attempt starts.
    dial_at: Option<Instant>,
    backoff: Backoff,
    requests: Requests,
    /// Pages of older entries that wait for their room or their turn.
    older: VecDeque<Older>,
    rooms: BTreeMap<LocalRoom, RoomEntry>,
    /// The last number given to a link, lane or room of this client.
    numbered: u64,
    sleep: SleepWatch,
    closing: Option<Closing>,
    /// Set when it is over.
    end: Option<Disconnect>,
}

/// What the driver wakes for.
enum Input {
    Command(Option<Box<Command>>),
    Published,
    Close,
    /// Another connection is wanted.
    Reconnect,
    /// To be ended without a word.
    Abandon,
    /// Nobody holds the client any more.
    Abandoned,
    Note(Box<Note>),
    Link(LinkInput),
    Dialed(Box<Result<Established, DialError>>),
    Tick,
}

impl Driver {
    async fn run(self) {
        let _ending = Ending(Arc::clone(&self.shared));
        // Dropped before that, so that who waited for the end finds its place on a socket free.
        let mut driver = self;
        let reason = loop {
            let now = Instant::now();
            driver.advance(now);
            if let Some(reason) = driver.end.take() {
                break reason;
            }
            let input = driver.input(now).await;
            driver.on_input(input, Instant::now());
        };
        driver.finish(reason).await;
    }

    /// Waits for whatever happens next. Nothing is lost by what it does not take: every arm is
    /// cancel safe, and unfinished attempts to connect are kept in `dialing`.
    async fn input(&mut self, now: Instant) -> Input {
        let deadline = self.deadline(now);
        let takes_commands = self.has_handles && self.requests.has_space();
        let Self {
            shared,
            commands,
            notes,
            link,
            dialing,
            ..
        } = self;
        tokio::select! {
            command = commands.recv(), if takes_commands => Input::Command(command),
            () = shared.published.notified(), if link.is_some() => Input::Published,
            () = shared.close.cancelled(), if self.closing.is_none() => Input::Close,
            () = shared.abandon.cancelled() => Input::Abandon,
            () = shared.reconnect.notified(), if self.closing.is_none() => Input::Reconnect,
            () = shared.events.abandoned(), if !self.has_handles && self.closing.is_none() => {
                Input::Abandoned
            }
            Some(note) = notes.recv() => Input::Note(note),
            Some(input) = link_input(link.as_mut()), if link.is_some() => Input::Link(input),
            Some(dialed) = dialed(dialing.as_mut()), if dialing.is_some() => Input::Dialed(Box::new(dialed)),
            () = sleep_until(deadline) => Input::Tick,
        }
    }

    fn on_input(&mut self, input: Input, now: Instant) {
        match input {
            Input::Command(Some(command)) => self.on_command(*command, now),
            Input::Command(None) => self.has_handles = false,
            Input::Published | Input::Tick => {}
            Input::Close | Input::Abandoned => self.begin_close(now),
            Input::Reconnect => self.on_reconnect(now),
            Input::Abandon => self.on_abandon(),
            Input::Note(note) => self.on_note(*note, now),
            Input::Link(input) => self.on_link(input, now),
            Input::Dialed(result) => {
                self.dialing = None;
                match *result {
                    Ok(established) => self.on_established(established, now),
                    Err(error) => self.on_not_established(error, now),
                }
            }
        }
    }

    /// Does what is due.
    fn advance(&mut self, now: Instant) {
        // First: nothing that is given up may be sent.
        self.advance_doubts(now);
        self.advance_dial(now);
        self.advance_rooms(now);
        self.advance_older(now);
        self.advance_publishes(now);
        self.advance_typing();
        self.advance_close(now);
    }

    /// Sends the publishes whose turn it is.
    fn advance_publishes(&mut self, now: Instant) {
        let Self {
            link: Some(link),
            rooms,
            shared,
            ..
        } = self
        else {
            return;
        };
        let mut outgoing = lock(&shared.outgoing);
        if outgoing
            .waiting_since()
            .is_some_and(|since| now >= since + ANSWER_TIMEOUT)
        {
            drop(outgoing);
            self.on_fault("the node gave no answer to a publish", now);
            return;
        }
        while link.has_space()
            && let Some(outbound) = outgoing.next(now, link.in_flight_max)
        {
            // A room takes part once its reference is told, until its connection is gone.
            let reference = rooms.get(&outbound.room).and_then(RoomEntry::reference);
            debug_assert!(reference.is_some(), "a room without a reference takes part");
            if let Some(reference) = reference {
                link.send(outbound.body.into_frame(reference, outbound.nonce));
            }
        }
    }

    /// When something is due though nothing happens.
    fn deadline(&self, now: Instant) -> Instant {
        let (held, answer, forgotten) = {
            let outgoing = lock(&self.shared.outgoing);
            (
                outgoing.due(),
                outgoing.waiting_since().map(|since| since + ANSWER_TIMEOUT),
                outgoing.forgotten_at(),
            )
        };
        // While a dial is under way its result is what comes next.
        let dial = self.dial_at.filter(|_| self.dialing.is_none());
        let rooms = self.rooms.values().filter_map(RoomEntry::due).min();
        let closing = self.closing.as_ref().map(Closing::until);
        let online = [held, answer, rooms]
            .into_iter()
            .filter(|_| self.link.is_some());
        online
            .chain([dial, closing, forgotten])
            .flatten()
            .min()
            .unwrap_or(now + IDLE_TICK)
    }

    fn number(&mut self) -> u64 {
        self.numbered += 1;
        self.numbered
    }
}

async fn link_input(link: Option<&mut Link>) -> Option<LinkInput> {
    Some(link?.input().await)
}

async fn dialed(
    dialing: Option<&mut BoxFuture<'static, Result<Established, DialError>>>,
) -> Option<Result<Established, DialError>> {
    Some(dialing?.await)
}

/// A number that no process before can have reached, unless it published more than 256 messages a
/// millisecond or the clock went back.
fn nonces_of_former_process() -> Nonce {
    let since_1970 = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let milliseconds = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
    Nonce(milliseconds.saturating_mul(1 << 8).min(Nonce::MAX.0 / 2))
}

/// Notes of lanes that wait for the driver.
const NOTES_LEN_MAX: usize = 64;

/// How long a node may leave publishes without any answer. It refuses them itself much earlier when
/// the backplane is away, so beyond this it is stuck.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The driver looks around when nothing is due at all: only so that a sleep has an end.
const IDLE_TICK: Duration = Duration::from_secs(3600);
