//! Room for connections: how many there may be, and who gives way when there are too many.
//!
//! Whoever connects is a guest until it has shown who it is. When all places are taken, a newcomer takes that of a guest: the oldest from the
//! address which most of them are from, so that nobody who only connects keeps others out.

use super::{ConnectionId, wire::Wire};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// How long a newcomer waits for the place of a guest that is shown out.
const LEAVING: Duration = Duration::from_millis(250);

struct Guest {
    from: IpAddr,
    stream: Wire,
}

#[derive(Default)]
struct Places {
    taken: usize,
    guests: BTreeMap<ConnectionId, Guest>,
}

impl Places {
    /// The guest that gives way to a newcomer.
    fn next_to_leave(&mut self) -> Option<(ConnectionId, Guest)> {
        let id = next_to_leave(self.guests.iter().map(|(id, guest)| (*id, guest.from)))?;
        Some((id, self.guests.remove(&id)?))
    }
}

/// Of guests, the oldest first: the first one from where most of them are from. Of IPv6 that is the network, since a host has all addresses of it.
pub(crate) fn next_to_leave<Id>(guests: impl Iterator<Item = (Id, IpAddr)> + Clone) -> Option<Id> {
    let place = |address: IpAddr| match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    };
    let mut from = BTreeMap::<IpAddr, usize>::new();
    guests.clone().for_each(|(_, address)| *from.entry(place(address)).or_default() += 1);
    let most = from.values().copied().max()?;
    guests.into_iter().find(|(_, address)| from.get(&place(*address)) == Some(&most)).map(|(id, _)| id)
}

/// The places of all connections.
pub(crate) struct Room {
    most: usize,
    places: Mutex<Places>,
    left: Condvar,
    turned_away: AtomicU64,
    shown_out: AtomicU64,
}

impl Room {
    /// Of `most` places.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let (places, left) = (Mutex::default(), Condvar::new());
        Arc::new(Self { most, places, left, turned_away: AtomicU64::new(0), shown_out: AtomicU64::new(0) })
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        // Nothing that holds the lock can panic half-way through a change.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for who connected, if there is one or a guest gives way: `shown_out` is told which.
    pub(crate) fn admit(
        self: &Arc<Self>,
        id: ConnectionId,
        from: IpAddr,
        stream: Wire,
        shown_out: impl FnOnce(ConnectionId),
    ) -> Option<Arc<Slot>> {
        let mut places = self.lock();
        if places.taken >= self.most {
            let Some((leaving, guest)) = places.next_to_leave() else {
                self.turned_away();
                return None;
            };
            drop(places);
            self.shown_out();
            guest.stream.shut_down();
            shown_out(leaving);
            let full = |places: &mut Places| places.taken >= self.most;
            let waited = self.left.wait_timeout_while(self.lock(), LEAVING, full);
            places = waited.unwrap_or_else(PoisonError::into_inner).0;
            if places.taken >= self.most {
                self.turned_away();
                return None;
            }
        }
        places.taken += 1;
        places.guests.insert(id, Guest { from, stream });
        Some(Arc::new(Slot { room: self.clone(), id, known: AtomicBool::new(false) }))
    }

    /// A place for a connection that we made, of which there are as many as peers.
    pub(crate) fn take(self: &Arc<Self>, id: ConnectionId) -> Arc<Slot> {
        self.lock().taken += 1;
        Arc::new(Slot { room: self.clone(), id, known: AtomicBool::new(false) })
    }

    /// Counts a guest that gave way.
    pub(super) fn shown_out(&self) {
        self.shown_out.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one that has no place.
    pub(crate) fn turned_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    /// How many had no place.
    pub(crate) fn count_turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// How many guests gave way.
    pub(crate) fn count_shown_out(&self) -> u64 {
        self.shown_out.load(Ordering::Relaxed)
    }

    /// How many places are taken.
    pub(crate) fn taken(&self) -> usize {
        self.lock().taken
    }
}

/// The place of one connection: whoever works for it holds it, and it is free when nobody does.
pub(crate) struct Slot {
    room: Arc<Room>,
    id: ConnectionId,
    known: AtomicBool,
}

impl Slot {
    /// It has shown who it is: it gives way to nobody.
    pub(crate) fn is_known_now(&self) {
        if !self.known.swap(true, Ordering::AcqRel) {
            self.room.lock().guests.remove(&self.id);
        }
    }

    /// Another is known in its stead: it gives way again.
    pub(crate) fn is_guest_again(&self, from: IpAddr, stream: Wire) {
        if self.known.swap(false, Ordering::AcqRel) {
            self.room.lock().guests.insert(self.id, Guest { from, stream });
        }
    }

    /// Whether it has.
    pub(crate) fn was_known(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut places = self.room.lock();
        places.taken -= 1;
        places.guests.remove(&self.id);
        drop(places);
        self.room.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn wire() -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        TcpStream::connect(listener.local_addr().unwrap()).unwrap().into()
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn a_newcomer_takes_the_place_of_the_oldest_guest_of_the_greediest_address() {
        let room = Room::new(4);
        let known = room.admit(ConnectionId(0), address(9), wire(), drop).unwrap();
        known.is_known_now();
        let alone = room.admit(ConnectionId(1), address(1), wire(), drop).unwrap();
        let [first, second] =
            [2, 3].map(|id| room.admit(ConnectionId(id), address(2), wire(), drop).unwrap());
        let (_, leaving) = room.lock().next_to_leave().unwrap();
        assert_eq!(leaving.from, address(2));
        let left: Vec<_> = room.lock().guests.keys().copied().collect();
        assert_eq!(left, [ConnectionId(1), ConnectionId(3)], "the oldest of two has left");
        drop((known, alone, first, second));
        assert_eq!(room.taken(), 0);
    }

    #[test]
    fn a_network_is_one_guest_however_many_addresses_it_has_and_of_equals_the_oldest_leaves() {
        let [one, two, three]: [IpAddr; 3] =
            ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(|text| text.parse().unwrap());
        let leaves = |guests: &[IpAddr]| next_to_leave(guests.iter().copied().enumerate());
        assert_eq!(leaves(&[three, one, two]), Some(1));
        assert_eq!(leaves(&[three, address(1), address(2)]), Some(0));
        assert_eq!(leaves(&[]), None);
    }

    #[test]
    fn a_place_is_free_when_nobody_works_for_its_connection_any_more() {
        let room = Room::new(1);
        let slot = room.admit(ConnectionId(0), address(1), wire(), drop).unwrap();
        let held = slot.clone();
        slot.is_known_now();
        drop(slot);
        let admit = |id| room.admit(ConnectionId(id), address(2), wire(), drop);
        assert!(admit(1).is_none(), "a known one gives way to nobody");
        assert_eq!(room.count_turned_away(), 1);
        held.is_guest_again(address(1), wire());
        let mut leaving = None;
        assert!(room.admit(ConnectionId(2), address(2), wire(), |id| leaving = Some(id)).is_none());
        assert_eq!(
            leaving,
            Some(ConnectionId(0)),
            "it is shown out, and its place is taken until it has gone"
        );
        assert_eq!((room.count_turned_away(), room.count_shown_out()), (2, 1));
        drop(held);
        assert!(admit(3).is_some());
    }
}
