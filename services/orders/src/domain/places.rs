//! Which places an order takes.

use std::collections::BTreeSet;

use common::{Place, Quantity};
use rand::Rng;
use rand::seq::index;

/// As many places as are wanted, at random, of those of the listing that aren't taken: concurrent buyers rarely choose
/// the same. None: fewer are free.
pub fn choose_places(
    listing: Quantity,
    taken: &BTreeSet<Place>,
    wanted: Quantity,
    random: &mut impl Rng,
) -> Option<Vec<Place>> {
    let free: Vec<Place> = listing.places().filter(|place| !taken.contains(place)).collect();
    let wanted = usize::from(wanted.get());
    if free.len() < wanted {
        return None;
    }
    let mut chosen: Vec<Place> =
        index::sample(random, free.len(), wanted).into_iter().map(|index| free[index]).collect();
    chosen.sort_unstable();
    Some(chosen)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn distinct_free_places_are_chosen_as_long_as_there_are_enough() {
        let mut random = StdRng::seed_from_u64(7);
        let taken: BTreeSet<_> = [2, 5].map(Place::new).into();
        let listing = Quantity::new(6);
        let mut seen = BTreeSet::new();
        for _ in 0..200 {
            let places = choose_places(listing, &taken, Quantity::new(2), &mut random).unwrap();
            assert!(places[0] < places[1], "{places:?}");
            assert!(places.iter().all(|place| !taken.contains(place)), "{places:?}");
            seen.extend(places);
        }
        assert_eq!(seen, [1, 3, 4, 6].map(Place::new).into(), "each is chosen at times");
        let all = choose_places(listing, &taken, Quantity::new(4), &mut random);
        assert_eq!(all, Some([1, 3, 4, 6].map(Place::new).into()));
        assert_eq!(choose_places(listing, &taken, Quantity::new(5), &mut random), None);
        let one = choose_places(Quantity::ONE, &BTreeSet::new(), Quantity::ONE, &mut random);
        assert_eq!(one, Some(vec![Place::FIRST]));
    }
}
