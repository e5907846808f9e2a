using System.Diagnostics;
using System.Text;

using ModelSdk.Manifest.Tests.Testing;

namespace ModelSdk.Manifest.Tests;

/// <summary>What is JSON, and where it stops being JSON.</summary>
public class JsonTests
{
    [Theory]
    [InlineData("[||]")]
    [InlineData("  \n [||]")]
    [InlineData("{ \"base\": \"b\"[||]")]
    [InlineData("{ \"base\"[||]")]
    [InlineData("{ \"base\":[||]")]
    [InlineData("{ \"base\": \"b\",[||]")]
    [InlineData("{ \"base\": [|\"b }|]")]
    [InlineData("{ \"base\": [|\"b|]\n }")]
    [InlineData("{ [|'|]base': 1 }")]
    [InlineData("{ [|b|]ase: 1 }")]
    [InlineData("{ \"base\" [|\"|]b\" }")]
    [InlineData("{ \"base\": \"b\" [|\"|]seed\": 1 }")]
    [InlineData("{ \"base\": \"b\",[|,|] }")]
    [InlineData("{ [|,|] }")]
    [InlineData("{ \"base\": [[|,|]] }")]
    [InlineData("{ \"base\": [1 [|2|]] }")]
    [InlineData("{ \"base\": [1[|}|] }")]
    [InlineData("{ \"base\": \"b\" } [|{|]}")]
    [InlineData("{ \"base\": [|True|] }")]
    [InlineData("{ \"base\": [|NaN|] }")]
    [InlineData("{ \"base\": [|nul|] }")]
    [InlineData("{ \"base\": [|+|]1 }")]
    [InlineData("{ \"base\": [|-|] }")]
    [InlineData("{ \"base\": [|01|] }")]
    [InlineData("{ \"base\": [|1.|] }")]
    [InlineData("{ \"base\": [|.|]5 }")]
    [InlineData("{ \"base\": [|1e|] }")]
    [InlineData("{ \"base\": [|1e+|] }")]
    [InlineData("{ \"base\": [|1_|]0 }")]
    [InlineData("{ \"base\": [|0x|]1 }")]
    [InlineData("{ \"base\": \"[|\\q|]\" }")]
    [InlineData("{ \"base\": \"[|\\u12|]\" }")]
    [InlineData("{ \"base\": \"[|\\ud800|]\" }")]
    [InlineData("{ \"base\": \"[|\\ud800\\u0041|]\" }")]
    [InlineData("{ \"base\": \"[|\\udc00|]\" }")]
    [InlineData("{ \"base\": \"a[|\t|]b\" }")]
    [InlineData("{ \"base\": \"b\" } [|/* never closed|]")]
    [InlineData("{ [|/|] }")]
    [InlineData("[|#|]!{}")]
    public void A_syntax_error_is_reported_once_where_it_is(string marked) => Marked.Reports("MDL1001", marked);

    [Theory]
    [InlineData('\ud800')]
    [InlineData('\udc00')]
    public void Half_a_surrogate_pair_is_refused(char half) =>
        Marked.Reports("MDL1001", "{ \"base\": \"a[|" + half + "|]b\" }");

    [Theory]
    [InlineData("\n")]
    [InlineData("\r\n")]
    [InlineData("\r")]
    public void Lines_are_counted_for_every_kind_of_line_end(string lineEnd) =>
        Marked.Reports("MDL1005", $$"""{ "base": "b",{{lineEnd}}{{lineEnd}}  [|"sed"|]: 1 }""");

    [Fact]
    public void A_byte_order_mark_is_no_column() => Marked.Reports("MDL1005", "\uFEFF{ [|\"bose\"|]: 1, \"base\": \"b\" }");

    [Fact]
    public void Columns_count_in_units_of_editors()
    {
        // One emoji is two UTF-16 units, as in MSBuild and Visual Studio.
        Marked.Reports("MDL1005", """{ "base": "😀", [|"bose"|]: 1 }""");
    }

    [Fact]
    public void Comments_and_trailing_commas_are_allowed() =>
        Assert.Equal("b", Samples.Parse("/* a */ { // b\n \"base\": \"b\", /* c */ } // d").Base.Folder);

    [Fact]
    public void Escapes_are_read() =>
        Assert.Equal("\"\\/\b\f\n\r\tA😀", Samples.Parse("""{ "base": "b", "prompt": { "system": "\"\\\/\b\f\n\r\t\u0041\ud83d\uDE00" } }""").Prompt.System);

    [Theory]
    [InlineData("""{ "base": "b", [|"base"|]: "c" }""")]
    [InlineData("""{ "base": "b", "budgets": { "a": 1, [|"\u0061"|]: 2 } }""")]
    public void A_property_that_is_given_twice_is_reported_at_the_second(string marked) => Marked.Reports("MDL1004", marked);

    [Fact]
    public void The_deepest_nesting_allowed_is_read()
    {
        // Depth 32: the manifest and 31 arrays.
        string nested = new string('[', 31) + new string(']', 31);

        Assert.Equal("MDL1006", Assert.Single(ManifestParser.Parse($$"""{ "base": {{nested}} }""", "x").Diagnostics).Code);
        Marked.Reports("MDL1003", $$"""{ "base": {{new string('[', 31)}}[|[|]{{new string(']', 32)}} }""");
    }

    [Fact]
    public void Ten_megabytes_of_nested_JSON_are_one_error_at_once()
    {
        var clock = Stopwatch.StartNew();
        foreach (string nested in new[] { new string('[', 10_000_000), string.Concat(Enumerable.Repeat("{\"a\":", 2_000_000)) })
        {
            ManifestDiagnostic diagnostic = Assert.Single(ManifestParser.Parse(nested, "/app/big.model.json").Diagnostics);
            Assert.Equal("MDL1002", diagnostic.Code);
            Assert.Equal("(1,1,1,1)", Marked.SpanOf(diagnostic));
        }

        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(5), $"took {clock.Elapsed}");
    }

    [Fact]
    public void The_largest_text_allowed_is_read_at_once()
    {
        var clock = Stopwatch.StartNew();
        foreach (string nested in new[] { new string('[', 1 << 20), string.Concat(Enumerable.Repeat("{\"a\":", 1 << 17)) })
            Assert.Equal("MDL1003", Assert.Single(ManifestParser.Parse(nested, "/app/big.model.json").Diagnostics).Code);

        var wide = new StringBuilder("""{ "base": "b", "budgets": {""");
        for (int i = 0; wide.Length < (1 << 20) - 100; i++) wide.Append(System.Globalization.CultureInfo.InvariantCulture, $"\"b{i}\":5,\n");
        Samples.Parse(wide.Append("} }").ToString());
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(10), $"took {clock.Elapsed}");
    }

    /// <summary>The parser runs inside editors: no text of the size that is read may hold them up.</summary>
    [Theory]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [""", "{0},", "] } } } }")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [""", "64,", "] } } } }")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { """, "\"stepx{0}\":1,", "} } } }")]
    [InlineData("""{ "base": "b", "evaluation": { "data": "d", "streams": [""", "1,", "] } }")]
    [InlineData("""{ "base": "b", "evaluation": { "data": "d", "gates": { """, "\"g{0}\":1,", "} } }")]
    [InlineData("""{ "base": "b", "grader": { "command": [""", "\"x\",", "] } }")]
    [InlineData("""{ "base": "b", "adapters": { """, "\"a{0}\":{{\"train\":\"t\",\"verifier\":{{\"lora\":1}}}},", "}, \"switcher\": { \"train\": \"s\" } }")]
    [InlineData("""{ "base": "b", "budgets": { """, "\"b{0}\":{{\"tokens\":5,\"streams\":65}},", "} }")]
    public void Long_lists_of_mistakes_are_read_at_once(string begin, string item, string end)
    {
        const int growth = 64, limit = growth * 16;
        string all = Filled((1 << 20) - 200), part = Filled(((1 << 20) - 200) / growth);
        _ = Read(part); // compiles the parser

        // Time in proportion to the length grows 64 times, with each item compared to each other one 4,096 times. The limit lies between, far from both, and the least of
        // some tries is compared, so that neither other work on the machine nor garbage collection decides.
        double least = double.PositiveInfinity, leastOfPart = double.PositiveInfinity;
        for (int i = 0; i < 3 || (i < 12 && least >= leastOfPart * limit); i++)
        {
            leastOfPart = Math.Min(leastOfPart, Read(part));
            least = Math.Min(least, Read(all));
        }

        Assert.True(least < leastOfPart * limit, $"{growth} times the length took {least / leastOfPart:F0} times as long");

        string Filled(int length)
        {
            var text = new StringBuilder(begin);
            for (int i = 1; text.Length < length; i++) text.AppendFormat(System.Globalization.CultureInfo.InvariantCulture, item, i);
            return text.Append(end).ToString();
        }

        double Read(string text)
        {
            var clock = Stopwatch.StartNew();
            ManifestResult result = ManifestParser.Parse(text, "/app/tutor.model.json");
            double seconds = clock.Elapsed.TotalSeconds;
            Assert.Null(result.Manifest);
            return seconds;
        }
    }
}
