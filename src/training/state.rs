//! Writes what a peer keeps from round to round. It can take gigabytes, so values are copied many at a time.

/// Makes room for a state of `count` values and little more. Otherwise the vector would be copied to twice its size each time it outgrows
/// its memory.
pub fn make_room(count: usize, state: &mut Vec<u8>) {
    state.reserve_exact(4 * count + 64);
}

/// Appends values.
pub fn append(values: &[f32], state: &mut Vec<u8>) {
    let mut buffer = [[0; 4]; 1024];
    for values in values.chunks(buffer.len()) {
        buffer.iter_mut().zip(values).for_each(|(bytes, value)| *bytes = value.to_le_bytes());
        state.extend_from_slice(buffer[..values.len()].as_flattened());
    }
}

/// Appends values after their number, as postcard does.
pub fn append_counted(values: &[f32], state: &mut Vec<u8>) {
    append_number(values.len() as u64, state);
    append(values, state);
}

/// Appends a number as postcard does.
pub fn append_number(number: u64, state: &mut Vec<u8>) {
    *state = postcard::to_extend(&number, std::mem::take(state)).expect("a number");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_numbers_are_appended_as_postcard_does() {
        for count in [0, 1, 127, 128, 3000] {
            let values: Vec<f32> = (0..count).map(|at| (at as f32).sin()).collect();
            let mut state = vec![7];
            append_number(300, &mut state);
            append_counted(&values, &mut state);
            assert_eq!(state, postcard::to_stdvec(&(7u8, 300u64, values)).unwrap());
        }
    }
}
