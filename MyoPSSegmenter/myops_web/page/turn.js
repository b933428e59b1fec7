// How the heart is turned: a 3 x 3 matrix from patient coordinates (right-anterior-superior, millimeters) to the screen.

// Row after row. At first as from the front of the patient: their right is on the left, their head above, their front to us.
const FROM_THE_FRONT = [-1, 0, 0, 0, 0, 1, 0, 1, 0];

const times = (a, b) => [0, 1, 2].flatMap((r) => [0, 1, 2].map((c) => a[3 * r] * b[c] + a[3 * r + 1] * b[3 + c] + a[3 * r + 2] * b[6 + c]));

export class Turn {
  constructor() { this.reset(); }

  reset() { this.matrix = FROM_THE_FRONT; this.zoom = 1; }

  // To the right and down on the screen, in radians.
  by(right, down) {
    const [c, s, d, t] = [Math.cos(right), Math.sin(right), Math.cos(down), Math.sin(down)];
    const sideways = [c, 0, s, 0, 1, 0, -s, 0, c], forward = [1, 0, 0, 0, d, -t, 0, t, d];
    this.matrix = times(forward, times(sideways, this.matrix));
  }

  // Where a place is on the screen: to the right, up, and towards the eye.
  seen([x, y, z]) {
    const m = this.matrix;
    return [m[0] * x + m[1] * y + m[2] * z, m[3] * x + m[4] * y + m[5] * z, m[6] * x + m[7] * y + m[8] * z];
  }
}
