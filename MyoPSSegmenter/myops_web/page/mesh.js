// A surface as it came from the server, with a normal at each vertex.

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;

export function unpackMesh({ points, triangles, step_mm, color, opacity }) {
  const places = Float32Array.from(new Int16Array(bytes(points)), (step) => step * step_mm);
  const corners = new Uint32Array(bytes(triangles));
  const channels = [1, 3, 5].map((k) => parseInt(color.slice(k, k + 2), 16) / 255);
  return { places, corners, normals: normalsOf(places, corners), color: channels, opacity };
}

// The sum of the normals of the triangles around a vertex, large ones more; the shader gives it length 1.
function normalsOf(places, corners) {
  const normals = new Float32Array(places.length);
  for (let k = 0; k < corners.length; k += 3) {
    const [a, b, c] = [3 * corners[k], 3 * corners[k + 1], 3 * corners[k + 2]];
    const u = [0, 1, 2].map((i) => places[b + i] - places[a + i]), v = [0, 1, 2].map((i) => places[c + i] - places[a + i]);
    const n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    for (const corner of [a, b, c]) for (let i = 0; i < 3; i++) normals[corner + i] += n[i];
  }
  return normals;
}

// How far the farthest point is from the middle.
export function reach(meshes) {
  let most = 1;
  for (const { places } of meshes) for (let k = 0; k < places.length; k += 3) most = Math.max(most, Math.hypot(places[k], places[k + 1], places[k + 2]));
  return most;
}
