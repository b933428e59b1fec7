// Numbers as the panel and the report write them.

export function amount(mass) {
  if (mass === undefined || mass === null) return "–";
  if (mass.g !== null) return `${mass.g.toFixed(1)} g`;
  if (mass.ml !== null) return `${mass.ml.toFixed(1)} mL`;
  return mass.percent === null ? "–" : percent(mass.percent);
}

export const percent = (value) => `${value.toFixed(1)} %`;

export function duration(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
