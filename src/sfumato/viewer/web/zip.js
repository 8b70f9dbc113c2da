// ZIP archives of files as they are, without compression: Spark reads a scene of several files as one archive.

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function checksum(bytes) {
  let value = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) value = TABLE[(value ^ bytes[i]) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** An archive of files: { name: bytes }. */
export function zipped(files) {
  const entries = Object.entries(files).map(([name, bytes]) => ({ name: new TextEncoder().encode(name), bytes }));
  const heads = entries.reduce((sum, { name }) => sum + 76 + 2 * name.length, 0);
  const archive = new Uint8Array(heads + 22 + entries.reduce((sum, { bytes }) => sum + bytes.length, 0));
  const view = new DataView(archive.buffer);
  let at = 0;
  const put = (words) => {
    for (const [value, size] of words) {
      if (size === 2) view.setUint16(at, value, true);
      else view.setUint32(at, value, true);
      at += size;
    }
  };
  const fields = ({ crc, bytes, name }) => [[20, 2], [0, 2], [0, 2], [0, 4], [crc, 4], [bytes.length, 4], [bytes.length, 4], [name.length, 2]];
  for (const entry of entries) {
    Object.assign(entry, { crc: checksum(entry.bytes), start: at });
    put([[0x04034b50, 4], ...fields(entry), [0, 2]]);
    archive.set(entry.name, at);
    archive.set(entry.bytes, at + entry.name.length);
    at += entry.name.length + entry.bytes.length;
  }
  const directory = at;
  for (const entry of entries) {
    put([[0x02014b50, 4], [20, 2], ...fields(entry), [0, 2], [0, 2], [0, 2], [0, 2], [0, 4], [entry.start, 4]]);
    archive.set(entry.name, at);
    at += entry.name.length;
  }
  put([[0x06054b50, 4], [0, 4], [entries.length, 2], [entries.length, 2], [at - directory, 4], [directory, 4], [0, 2]]);
  return archive;
}
