using System.Text.RegularExpressions;
using ModelSdk.Sdk.Tests.Building;

namespace ModelSdk.Sdk.Tests;

/// <summary>PAPER.md points at files and tests that exist: a claim whose test was renamed is a claim without a test.</summary>
public partial class PaperTests
{
    private static readonly string Paper = File.ReadAllText(Path.Combine(Repository.Root, "PAPER.md"));

    [Fact]
    public void Every_file_that_is_named_exists()
    {
        string[] named = [.. FilePath().Matches(Paper).Select(match => match.Groups[1].Value).Distinct()];
        Assert.True(named.Length > 10);
        Assert.DoesNotContain(named, path => !Path.Exists(Path.Combine(Repository.Root, path)));
    }

    [Fact]
    public void Every_test_that_is_named_exists()
    {
        Dictionary<string, string> tests = Directory.EnumerateFiles(Path.Combine(Repository.Root, "tests"), "*Tests.cs", SearchOption.AllDirectories)
            .Where(file => !file.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal))
            .Select(File.ReadAllText)
            .SelectMany(source => TestClass().Matches(source).Select(match => (Class: match.Groups[1].Value, Source: source)))
            .GroupBy(test => test.Class)
            .ToDictionary(test => test.Key, test => string.Concat(test.Select(t => t.Source)));
        (string Class, string Method)[] named = [.. TestName().Matches(Paper).Select(match => (match.Groups[1].Value, match.Groups[2].Value)).Distinct()];
        Assert.True(named.Length > 10);
        Assert.DoesNotContain(named, name => !tests.TryGetValue(name.Class, out string? source) || (name.Method.Length > 0 && !source.Contains($" {name.Method}(", StringComparison.Ordinal)));
    }

    [GeneratedRegex(@"`((?:src|samples|tests|docs)/[\w./-]+)`")]
    private static partial Regex FilePath();

    [GeneratedRegex(@"\bclass (\w+Tests)\b")]
    private static partial Regex TestClass();

    [GeneratedRegex(@"`(\w+Tests)(?:\.(\w+))?`")]
    private static partial Regex TestName();
}
