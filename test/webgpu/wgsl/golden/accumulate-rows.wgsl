// accumulate_rows

@group(0) @binding(0) var<storage, read> table: array<f32>; // fp32[10, 8]
@group(0) @binding(1) var<storage, read> index: array<i32>; // int32[8]
@group(0) @binding(2) var<storage, read_write> y: array<atomic<u32>>; // fp32[10, 8]
@group(0) @binding(3) var<storage, read> tables: array<i32>;

var<workgroup> at: array<i32, 4>; // [4, 1]

fn floor_div(a: i32, b: i32) -> i32 {
  let q = a / b;
  return select(q, q - 1, a % b != 0 && ((a < 0) != (b < 0)));
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane_id: u32) {
  let lane = i32(lane_id);
  let g = i32(wid.x);
  var rows: f32;
  for (var i_1 = 0; i_1 < floor_div(tables[g + 1] - tables[g] + 3, 4); i_1++) {
    workgroupBarrier();
    // at = index[i * 4 + starts[g] : +4 below starts[g + 1]] else -1
    {
      let base = i_1 * 4 + tables[g];
      if (lane < 4) {
        if (i_1 * 4 + tables[g] + lane < 8 && i_1 * 4 + tables[g] + lane < tables[g + 1]) {
          at[lane] = index[base + lane];
        } else {
          at[lane] = (-1);
        }
      }
    }
    workgroupBarrier();
    // rows = table[0 : +4, 0 : +8] at rows at
    {
      let line = at[lane / 8];
      if (line >= 0 && line < 10) {
        rows = table[line * 8 + lane % 8];
      } else {
        rows = 0.0;
      }
    }
    // y[0 : +4, 0 : +8] at rows at add= rows
    {
      let line = at[lane / 8];
      if (line >= 0 && line < 10) {
        {
          let term = rows;
          var old = atomicLoad(&y[line * 8 + lane % 8]);
          loop {
            let swap = atomicCompareExchangeWeak(&y[line * 8 + lane % 8], old, bitcast<u32>(bitcast<f32>(old) + term));
            if (swap.exchanged) { break; }
            old = swap.old_value;
          }
        }
      }
    }
  }
}
