/** The calculation as a picture: an SVG file, drawn by Vega without a browser. */
import * as vega from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import type { Calculation } from "./index.ts";
import { largestGroups, short, percent as shown } from "./words.ts";

// Okabe and Ito's palette: told apart by readers who do not see red and green
const SENIOR = "#0072b2";
const JUNIOR = "#d55e00";
const STAKING = "#767676";
const OTHER = "#bcd2e0";

const WIDTH = 400;
const HEIGHT = 230;

const percent = (wad: bigint): number => Number(wad) / 1e16;

/** SVG text. */
export async function drawChart(calculation: Calculation): Promise<string> {
  const view = new vega.View(vega.parse(compile(specify(calculation)).spec), { renderer: "none" });
  const svg = await view.toSVG();
  view.finalize();
  return svg;
}

/** The picture as data: what each group could take, the returns against AVS rewards, and the simulated years. */
export function specify(one: Calculation): TopLevelSpec {
  const { k, name } = one.terms;
  const title = `${short(name)}: k = ${k} of ${one.groups.length} slasher groups, ${shown(
    one.size.value === 0n ? 0n : (one.size.junior * 10n ** 18n) / one.size.value,
  )} junior`;
  const panels = [groups(one), returns(one), ...(one.simulation === undefined ? [] : [years(one), uncovered(one)])];
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    title: { text: title, anchor: "start", fontSize: 16, offset: 14 },
    background: "white",
    padding: 16,
    columns: 2,
    spacing: { row: 46, column: 46 },
    concat: panels,
    resolve: { scale: { color: "independent" } },
    config: {
      font: "Helvetica, Arial, sans-serif",
      view: { stroke: null },
      axis: {
        grid: true,
        gridColor: "#e6e6e6",
        domainColor: "#888",
        tickColor: "#888",
        labelFontSize: 11,
        titleFontSize: 11,
      },
      title: { anchor: "start", fontSize: 13, subtitleFontSize: 11, subtitleColor: "#555" },
      legend: { orient: "bottom", title: null, labelFontSize: 11, labelLimit: 0 },
    },
  } as TopLevelSpec;
}

function groups(one: Calculation): unknown {
  const { k } = one.terms;
  const least = one.groups.filter((group) => group.worst).at(-1)?.takes ?? 0n;
  const among = `among ${largestGroups(k)}`;
  const values = one.groups.map(({ name, share, takes }) => ({
    group: short(name),
    share: percent(share),
    what: takes > 0n && takes >= least ? among : "other",
  }));
  return {
    title: {
      text: "What each slasher group could take",
      subtitle: `${largestGroups(k)}: ${shown(one.worst.share)} of the tier`,
    },
    width: WIDTH,
    height: HEIGHT,
    data: { values },
    mark: { type: "bar" },
    encoding: {
      y: { field: "group", type: "nominal", sort: null, axis: { title: null, grid: false, labelLimit: 110 } },
      x: { field: "share", type: "quantitative", axis: { title: "% of the tier" } },
      color: {
        field: "what",
        type: "nominal",
        scale: { domain: [among, "other"], range: [JUNIOR, OTHER] },
      },
    },
  };
}

const WHO = ["senior", "junior", "plain staking"];
const scale = (count: number) => ({ domain: WHO.slice(0, count), range: [SENIOR, JUNIOR, STAKING].slice(0, count) });

function returns(one: Calculation): unknown {
  const staking = percent(one.assumptions.market.stakingYield);
  const values = one.table.flatMap(({ avsRewards, senior, junior }) => {
    const rewards = percent(avsRewards);
    return [
      { rewards, rate: percent(senior), who: "senior" },
      { rewards, rate: percent(junior), who: "junior" },
      { rewards, rate: staking, who: "plain staking" },
    ];
  });
  const even = one.breakEven === undefined ? undefined : percent(one.breakEven);
  const inside = even !== undefined && even <= 3;
  return {
    title: {
      text: "A year without a loss, by AVS rewards",
      subtitle: even === undefined ? "the senior never breaks even" : `the senior breaks even at ${even.toFixed(2)} %`,
    },
    width: WIDTH,
    height: HEIGHT,
    layer: [
      {
        data: { values },
        mark: { type: "line", strokeWidth: 2 },
        encoding: {
          x: { field: "rewards", type: "quantitative", axis: { title: "AVS rewards, % a year before fees" } },
          y: { field: "rate", type: "quantitative", axis: { title: "return, % a year" } },
          color: { field: "who", type: "nominal", scale: scale(3) },
          strokeDash: {
            condition: { test: "datum.who === 'plain staking'", value: [4, 4] },
            value: [1, 0],
          },
        },
      },
      ...(inside
        ? [
            {
              data: { values: [{ rewards: even, rate: staking }] },
              mark: { type: "point", filled: true, size: 70, color: "#222" },
              encoding: { x: { field: "rewards", type: "quantitative" }, y: { field: "rate", type: "quantitative" } },
            },
          ]
        : []),
    ],
  };
}

/** Sorted returns: how many of a hundred years were worse than this. */
function years(one: Calculation): unknown {
  const years = one.simulation?.years ?? [];
  const curve = (who: string, list: readonly number[]) => {
    const sorted = [...list].sort((a, b) => a - b);
    // a point for each tenth of a per cent of the years is as fine as the picture
    return Array.from({ length: 1001 }, (_, i) => {
      const at = Math.min(sorted.length - 1, Math.floor((i * sorted.length) / 1000));
      return { worse: i / 10, rate: (sorted[at] ?? 0) * 100, who };
    });
  };
  const values = [
    ...curve(
      "senior",
      years.map((year) => year.senior),
    ),
    ...curve(
      "junior",
      years.map((year) => year.junior),
    ),
  ];
  const slashed = one.simulation === undefined ? 0 : (100 * one.simulation.slashYears) / one.simulation.paths;
  return {
    title: {
      text: `${years.length.toLocaleString("en-US")} simulated years, worst to best`,
      subtitle: `a slash happened in ${slashed.toFixed(1)} % of them`,
    },
    width: WIDTH,
    height: HEIGHT,
    data: { values },
    mark: { type: "line", strokeWidth: 2, interpolate: "step-after" },
    encoding: {
      x: { field: "worse", type: "quantitative", axis: { title: "% of the years that were worse" } },
      y: { field: "rate", type: "quantitative", axis: { title: "return of the year, %" } },
      color: { field: "who", type: "nominal", scale: scale(2) },
    },
  };
}

/** Of the years with a slash: how many had at least so many days without cover. */
function uncovered(one: Calculation): unknown {
  const slashed = (one.simulation?.years ?? []).filter((year) => year.slashDays > 0);
  const most = slashed.reduce((days, year) => Math.max(days, year.exposedDays), 14);
  const values = ["exposed", "closed"].flatMap((what) =>
    Array.from({ length: most + 15 }, (_, days) => {
      const of = (year: (typeof slashed)[number]) => (what === "exposed" ? year.exposedDays : year.closedDays);
      const count = slashed.filter((year) => of(year) > days).length;
      return { days, years: slashed.length === 0 ? 0 : (100 * count) / slashed.length, what };
    }),
  );
  return {
    title: {
      text: "Without full cover, in years with a slash",
      subtitle: "exposed: k groups could reach the senior; closed: U above 1",
    },
    width: WIDTH,
    height: HEIGHT,
    data: { values },
    mark: { type: "line", strokeWidth: 2, interpolate: "step-after" },
    encoding: {
      x: { field: "days", type: "quantitative", axis: { title: "for more than this many days" } },
      y: {
        field: "years",
        type: "quantitative",
        axis: { title: "% of the years with a slash" },
        scale: { domain: [0, 100] },
      },
      color: { field: "what", type: "nominal", scale: { domain: ["exposed", "closed"], range: [JUNIOR, STAKING] } },
    },
  };
}
