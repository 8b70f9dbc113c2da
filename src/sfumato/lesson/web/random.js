// Random numbers that are the same on every machine: a sequence is known by its seed (an xorshift generator).
export function createRandom(seed) {
  let state = (seed * 2654435761) >>> 0 || 1;
  const uniform = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4294967296;
  };
  for (let i = 0; i < 8; i++) uniform();
  return uniform;
}
