// A function that V8 compiles and does not come out of, for
// tests/programs/node.py.
'use strict';

function busyByName(cell) {
  for (let i = 0; ; i++)
    cell[i & 1023] ^= i;
}

require('fs').writeSync(1, 'ready\n');
busyByName(new Int32Array(1024));
