//! Things by number. A number carries a generation, so that a name kept too long finds nothing instead of a stranger.

use std::marker::PhantomData;

/// The name of a `T` in its [`Arena`].
pub(crate) struct Id<T> {
    index: u32,
    generation: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// Its place; unique among the living.
    pub(crate) const fn index(self) -> u32 {
        self.index
    }
}

impl<T> Id<T> {
    /// A name that nobody has.
    pub(crate) const fn nobody() -> Self {
        Self {
            index: u32::MAX,
            generation: u32::MAX,
            of: PhantomData,
        }
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index && self.generation == other.generation
    }
}
impl<T> Eq for Id<T> {}
impl<T> std::fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

/// A growing table whose free places are used again.
#[derive(Debug)]
pub(crate) struct Arena<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Arena<T> {
    pub(crate) const fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Stores what `make` makes of its own name.
    pub(crate) fn insert_with(&mut self, make: impl FnOnce(Id<T>) -> T) -> Id<T> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                generation: 0,
                value: None,
            });
            u32::try_from(self.places.len() - 1).expect("fewer than four thousand million of anything")
        });
        let place = &mut self.places[index as usize];
        let id = Id {
            index,
            generation: place.generation,
            of: PhantomData,
        };
        place.value = Some(make(id));
        id
    }

    pub(crate) fn remove(&mut self, id: Id<T>) -> Option<T> {
        let place = self.places.get_mut(id.index as usize)?;
        if place.generation != id.generation {
            return None;
        }
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(id.index);
        Some(value)
    }

    pub(crate) fn get(&self, id: Id<T>) -> Option<&T> {
        let place = self.places.get(id.index as usize)?;
        (place.generation == id.generation)
            .then_some(place.value.as_ref())
            .flatten()
    }

    pub(crate) fn get_mut(&mut self, id: Id<T>) -> Option<&mut T> {
        let place = self.places.get_mut(id.index as usize)?;
        if place.generation == id.generation {
            place.value.as_mut()
        } else {
            None
        }
    }

    /// The full name of whoever lives at `index`.
    pub(crate) fn id_at(&self, index: u32) -> Option<Id<T>> {
        let place = self.places.get(index as usize)?;
        place.value.as_ref().map(|_| Id {
            index,
            generation: place.generation,
            of: PhantomData,
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id<T>, &T)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            let index = u32::try_from(index).ok()?;
            place.value.as_ref().map(|value| {
                (
                    Id {
                        index,
                        generation: place.generation,
                        of: PhantomData,
                    },
                    value,
                )
            })
        })
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Id<T>, &mut T)> {
        self.places.iter_mut().enumerate().filter_map(|(index, place)| {
            let index = u32::try_from(index).ok()?;
            let generation = place.generation;
            place.value.as_mut().map(|value| {
                (
                    Id {
                        index,
                        generation,
                        of: PhantomData,
                    },
                    value,
                )
            })
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Arena;

    #[test]
    fn an_old_name_finds_nothing_after_its_place_is_taken_again() {
        let mut arena = Arena::new();
        let first = arena.insert_with(|_| "first");
        assert_eq!(arena.remove(first), Some("first"));
        let second = arena.insert_with(|_| "second");
        assert_eq!(first.index(), second.index());
        assert_eq!(arena.get(first), None);
        assert_eq!(arena.remove(first), None);
        assert_eq!(arena.get(second), Some(&"second"));
        assert_eq!(arena.len(), 1);
    }
}
