// The main thread at the end of a recursion that was compiled, for
// tests/programs/stacks.py.
'use strict';

const cell = new Int32Array(new SharedArrayBuffer(4));

function down(levels, wait) {
  if (levels > 0)
    return down(levels - 1, wait) + 1;
  return wait ? wait(cell) : 0;
}

for (let i = 0; i < 30000; i++)
  down(20, null);

setTimeout(() => {
  console.log('ready');
  [1].forEach(() => down(20, () => Atomics.wait(cell, 0, 0)));
}, 500);
