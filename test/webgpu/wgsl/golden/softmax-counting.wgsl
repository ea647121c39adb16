// softmax[4x128]

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>; // fp32[8, 128]
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>; // fp32[8, 128]
@group(0) @binding(2) var<storage, read_write> counters: array<atomic<u32>>;

var<workgroup> meet0: array<f32, 64>;
var<workgroup> meet1: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane_id: u32) {
  let lane = i32(lane_id);
  let i_1 = i32(wid.x);
  var t: array<f32, 8>;
  var top: f32;
  var total: f32;
  var n0 = 0u;
  var n1 = 0u;
  var n2 = 0u;
  var n3 = 0u;
  var n4 = 0u;
  var n5 = 0u;
  // t = x[i * 4 : +4, 0 : +128]
  {
    let base = i_1 * 128;
    for (var j4 = 0; j4 < 2; j4++) {
      n0 += 4u;
      n1 += 4u;
      {
        let four = x[base + (lane / 16) * 32 + j4 * 16 + lane % 16];
        t[j4 * 4] = four.x;
        t[j4 * 4 + 1] = four.y;
        t[j4 * 4 + 2] = four.z;
        t[j4 * 4 + 3] = four.w;
      }
    }
  }
  // top = max of t along cols
  {
    var part = (-3.4028234663852886e+38f);
    for (var j = 0; j < 8; j++) {
      part = max(part, t[j]);
    }
    n2 += 1u;
    meet0[(lane / 16) * 16 + lane % 16] = part;
  }
  workgroupBarrier();
  {
    n3 += 1u;
    var part = meet0[(lane / 16) * 16];
    for (var other = 1; other < 16; other++) {
      n3 += 1u;
      part = max(part, meet0[(lane / 16) * 16 + other]);
    }
    top = part;
  }
  // t = exp2(mul(sub(t, top), 1.4426950408889634))
  for (var j = 0; j < 8; j++) {
    t[j] = exp2(((t[j] - top) * 1.4426950408889634));
  }
  // total = sum of t along cols
  {
    var part = 0.0;
    for (var j = 0; j < 8; j++) {
      part = part + t[j];
    }
    n2 += 1u;
    meet1[(lane / 16) * 16 + lane % 16] = part;
  }
  workgroupBarrier();
  {
    n3 += 1u;
    var part = meet1[(lane / 16) * 16];
    for (var other = 1; other < 16; other++) {
      n3 += 1u;
      part = part + meet1[(lane / 16) * 16 + other];
    }
    total = part;
  }
  // t = mul(t, rcp(total))
  for (var j = 0; j < 8; j++) {
    t[j] = (t[j] * (1.0 / total));
  }
  // y[i * 4 : +4, 0 : +128] = t
  {
    let base = i_1 * 128;
    for (var j4 = 0; j4 < 2; j4++) {
      n4 += 4u;
      n5 += 4u;
      y[base + (lane / 16) * 32 + j4 * 16 + lane % 16] = vec4<f32>(t[j4 * 4], t[j4 * 4 + 1], t[j4 * 4 + 2], t[j4 * 4 + 3]);
    }
  }
  atomicAdd(&counters[0], n0); // tensor x read
  atomicAdd(&counters[1], n1); // issued global loads
  atomicAdd(&counters[2], n2); // issued workgroup stores
  atomicAdd(&counters[3], n3); // issued workgroup loads
  atomicAdd(&counters[4], n4); // tensor y write
  atomicAdd(&counters[5], n5); // issued global stores
}
