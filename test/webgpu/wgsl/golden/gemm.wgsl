// gemm[32x64x16] 64x128x48
enable f16;

@group(0) @binding(0) var<storage, read> A: array<vec4<f16>>; // fp16[64, 48]
@group(0) @binding(1) var<storage, read> B: array<vec4<f16>>; // fp16[48, 128]
@group(0) @binding(2) var<storage, read_write> C: array<vec4<f16>>; // fp16[64, 128]

var<workgroup> As: array<vec4<f16>, 256>; // [32, 16] × 2 buffers
var<workgroup> Bs: array<vec4<f16>, 512>; // [16, 64] × 2 buffers

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane_id: u32) {
  let lane = i32(lane_id);
  let x = i32(wid.x);
  let y = i32(wid.y);
  var acc: array<f32, 32>;
  for (var t = 0; t < 3; t++) {
    // As = A[y * 32 : +32, t * 16 : +16]   # up to 1 ahead
    {
      let base = y * 384 + t * 4;
      for (var e = lane; e < 128; e += 64) {
        let r = e / 4;
        let c4 = e % 4;
        As[(t % 2) * 128 + r * 4 + c4] = A[base + r * 12 + c4];
      }
    }
    // Bs = B[t * 16 : +16, x * 64 : +64]   # up to 1 ahead
    {
      let base = t * 512 + x * 16;
      for (var e = lane; e < 256; e += 64) {
        let r = e / 16;
        let c4 = e % 16;
        Bs[(t % 2) * 256 + r * 16 + c4] = B[base + r * 32 + c4];
      }
    }
    workgroupBarrier();
    // acc += As · Bs
    for (var k4 = 0; k4 < 4; k4++) {
      var a_: array<vec4<f32>, 4>;
      for (var i = 0; i < 4; i++) {
        a_[i] = vec4<f32>(As[(t % 2) * 128 + (i * 8 + lane / 8) * 4 + k4]);
      }
      for (var kq = 0; kq < 4; kq++) {
        var b_: array<vec4<f32>, 2>;
        for (var j4 = 0; j4 < 2; j4++) {
          b_[j4] = vec4<f32>(Bs[(t % 2) * 256 + (k4 * 4 + kq) * 16 + j4 * 8 + lane % 8]);
        }
        for (var i = 0; i < 4; i++) {
          for (var j = 0; j < 8; j++) {
            acc[i * 8 + j] = fma(a_[i][kq], b_[j >> 2u][j & 3], acc[i * 8 + j]);
          }
        }
      }
    }
  }
  // C[y * 32 : +32, x * 64 : +64] = acc
  {
    let base = y * 1024 + x * 16;
    for (var i = 0; i < 4; i++) {
      for (var j4 = 0; j4 < 2; j4++) {
        C[base + (i * 8 + lane / 8) * 32 + j4 * 8 + lane % 8] = vec4<f16>(vec4<f32>(acc[i * 8 + j4 * 4], acc[i * 8 + j4 * 4 + 1], acc[i * 8 + j4 * 4 + 2], acc[i * 8 + j4 * 4 + 3]));
      }
    }
  }
}
