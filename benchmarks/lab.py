"""The lab's trainer in Node, one thread: steps a second. Half a minute."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks import _measure

FOLDER = Path(__file__).parents[1] / "tms/_lab"
# Features, hidden dimensions, batch, feature probability.
SETTINGS = ((5, 2, 256, 0.05), (5, 2, 256, 1.0), (20, 5, 1024, 0.05), (20, 5, 1024, 1.0))

CODE = """
const { Trainer } = await import(process.argv[1]);
const results = JSON.parse(process.argv[2]).map(([n_features, n_hidden, batch_size, feature_probability]) => {
  const trainer = new Trainer({ n_features, n_hidden, batch_size, feature_probability });
  trainer.run(200);
  const rates = [];
  for (let turn = 0; turn < 5; turn++) {
    const begin = performance.now();
    let steps = 0;
    for (; performance.now() - begin < 1000; steps += 20) trainer.run(20);
    rates.push((1000 * steps) / (performance.now() - begin));
  }
  return { n_features, n_hidden, batch_size, feature_probability, rates };
});
console.log(JSON.stringify(results));
"""


def main() -> None:
    program = shutil.which("node") or str(Path(sys.executable).with_name("node"))
    arguments = [(FOLDER / "trainer.js").as_uri(), json.dumps(SETTINGS)]
    command = [program, "--no-warnings", "--input-type=module", "--eval", CODE, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    results = json.loads(done.stdout)
    for one in results:
        one["median"] = sorted(one["rates"])[2]
        print(
            f"  {one['n_features']}→{one['n_hidden']}, batch {one['batch_size']}, "
            f"p = {one['feature_probability']}: {one['median']:,.0f} steps a second",
            flush=True,
        )
    _measure.write("lab", {"settings": results})


if __name__ == "__main__":
    main()
