using System.Text.Json.Nodes;
using ModelSdk.Compiler.Reports;

namespace ModelSdk.Compiler.Tests.Reports;

/// <summary>The page in a real browser. Set <c>MODELSDK_SCREENSHOTS</c> to a folder to look at what the browser drew.</summary>
public sealed class ReportPageTests
{
    // Every text with its color against what lies behind it, as in WCAG 2.2, 1.4.3.
    private const string Measure = """
        (() => {
          const parse = c => { const v = c.match(/[\d.]+/g).map(Number); return { rgb: v.slice(0, 3), a: v.length > 3 ? v[3] : 1 }; };
          const luminance = rgb => { const [r, g, b] = rgb.map(v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
          const contrast = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
          const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a === 1) return c.rgb; } return [255, 255, 255]; };
          document.querySelectorAll('details').forEach(d => d.open = true);
          const faint = [], small = [];
          let texts = 0;
          const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          for (let n; n = walker.nextNode();) {
            const e = n.parentElement;
            if (!n.data.trim() || e.closest('title, desc, style')) continue;
            const style = getComputedStyle(e), svg = e instanceof SVGElement;
            const ratio = contrast(parse(svg ? style.fill : style.color).rgb, behind(e));
            texts++;
            if (ratio < 4.5) faint.push(`${n.data.trim()}: ${ratio.toFixed(2)}`);
            const size = parseFloat(style.fontSize) * (svg ? e.ownerSVGElement.getBoundingClientRect().width / 480 : 1);
            if (size < 10.5) small.push(`${n.data.trim()}: ${size.toFixed(1)} px`);
          }
          const lines = [...document.querySelectorAll('.line, .bar, .dot, .area')].map(e => { const s = getComputedStyle(e); return contrast(parse(s.fill === 'none' ? s.stroke : s.fill).rgb, behind(e)); });
          const root = document.documentElement;
          const wide = [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest('.wide')).map(e => `${e.tagName}.${e.className.baseVal ?? e.className}: ${e.textContent.trim().slice(0, 40)}`);
          const overlaps = [];
          document.querySelectorAll('svg.chart').forEach(svg => {
            const boxes = [...svg.querySelectorAll('text')].map(t => ({ text: t.textContent, box: t.getBoundingClientRect() }));
            boxes.forEach((a, i) => boxes.slice(i + 1).forEach(b => {
              if (Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left) > 1 && Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top) > 3) overlaps.push(`${a.text} / ${b.text}`);
            }));
          });
          return { texts, faint, small, wide, overlaps, faintestLine: Math.min(99, ...lines), scroll: root.scrollWidth - root.clientWidth, background: getComputedStyle(document.body).backgroundColor };
        })()
        """;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("full")]
    [InlineData("unmeasured")]
    public async Task The_page_reads_well_light_and_dark_narrow_and_wide(string kind)
    {
        Assert.SkipWhen(Browser.Path is null, "No Chromium on this machine: install it (Debian: apt-get install chromium) to test the page in a browser.");
        using TemporaryFolder folder = new();
        string file = folder["report.html"];
        await File.WriteAllBytesAsync(file, ReportHtml.Bytes(kind == "full" ? SampleReport.Full() : SampleReport.Unmeasured()), Token);
        await using Browser browser = await Browser.StartAsync(Token);
        foreach (int width in (int[])[320, 400, 800, 1400])
        {
            foreach (bool dark in (bool[])[false, true])
            {
                string name = $"{kind}-{width}-{(dark ? "dark" : "light")}";
                await browser.OpenAsync(file, width, dark, Token);
                if (Environment.GetEnvironmentVariable("MODELSDK_SCREENSHOTS") is { Length: > 0 } screenshots)
                {
                    Directory.CreateDirectory(screenshots);
                    await File.WriteAllBytesAsync(Path.Combine(screenshots, name + ".png"), await browser.ScreenshotAsync(Token), Token);
                }

                JsonNode seen = await browser.EvaluateAsync(Measure, Token);
                Assert.True(seen["texts"]!.GetValue<int>() > 50, name);
                Assert.Equal(dark ? "rgb(16, 19, 22)" : "rgb(255, 255, 255)", seen["background"]!.GetValue<string>());
                Assert.True(seen["scroll"]!.GetValue<double>() <= 0, $"{name} scrolls sideways: {seen["wide"]!.ToJsonString()}");
                AssertNone(seen["wide"]!, name + " is too wide");
                AssertNone(seen["faint"]!, name + " has faint text");
                AssertNone(seen["small"]!, name + " has small text");
                AssertNone(seen["overlaps"]!, name + " has texts that overlap");
                Assert.True(seen["faintestLine"]!.GetValue<double>() >= 3, $"{name}: {seen["faintestLine"]}");
            }
        }

        Assert.Empty(browser.Complaints);
    }

    private static void AssertNone(JsonNode list, string what) => Assert.True(list.AsArray().Count == 0, $"{what}: {list.ToJsonString()}");
}
