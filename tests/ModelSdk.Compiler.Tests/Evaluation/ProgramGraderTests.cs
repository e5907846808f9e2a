using System.Diagnostics;
using ModelSdk.Compiler.Evaluation.Graders;
using ModelSdk.Manifest;
using ModelSdk.Training;

namespace ModelSdk.Compiler.Tests.Evaluation;

/// <summary>Graders are shell scripts here; Windows has no shell to run them.</summary>
public sealed class ProgramGraderTests : IDisposable
{
    // Scores 1 where "answer" equals "expected", answers from the last to the first.
    private const string Right = """
        while read -r line; do
          id=$(printf '%s' "$line" | sed 's/.*"id":"\([^"]*\)".*/\1/')
          expected=$(printf '%s' "$line" | sed 's/.*"expected":"\([^"]*\)".*/\1/')
          answer=$(printf '%s' "$line" | sed 's/.*"answer":"\([^"]*\)".*/\1/')
          if [ "$expected" = "$answer" ]; then score=1; else score=0.25; fi
          all="{\"id\":\"$id\",\"score\":$score}
        $all"
        done
        printf '%s' "$all"
        """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Scores_come_in_any_order_and_keep_their_answers()
    {
        Assert.Equal([0.25, 1, 0.25], Grade(Right, Answers("1", "2", "3")));
        Assert.Empty(Grade("exit 1", []));
    }

    [Fact]
    public void Answers_of_one_question_may_share_an_id()
    {
        GradedAnswer[] answers = [.. Answers("2", "1").Select(a => a with { Id = "7" })];
        Assert.Equal([1, 0.25], Grade(Right, answers));
    }

    [Fact]
    public void Every_field_arrives_as_it_is()
    {
        GradedAnswer answer = new("1", "a \"b\"\n\\ ünï", "2", "\t3", "<think>\n</think>3");
        Grade("""cat > seen.txt; echo '{"id":"1.0","score":1}'""", [answer]);
        using System.Text.Json.JsonDocument seen = System.Text.Json.JsonDocument.Parse(File.ReadAllText(_folder["seen.txt"]));
        Assert.Equal(["1.0", answer.Question, answer.Expected, answer.Answer, answer.Output], ((string[])["id", "question", "expected", "answer", "output"]).Select(n => seen.RootElement.GetProperty(n).GetString()));
        Assert.Equal(5, seen.RootElement.EnumerateObject().Count());
    }

    [Fact]
    public void Thousands_of_answers_do_not_block_a_program_that_writes_while_it_reads()
    {
        string script = """while read -r line; do echo "$line" | cut -c1-400 >&2; id=${line#*\"id\":\"}; echo "{\"id\":\"${id%%\"*}\",\"score\":0.5}"; done""";
        GradedAnswer[] answers = [.. Enumerable.Range(0, 1500).Select(i => new GradedAnswer($"{i}", new string('q', 200), "1", "2", new string('o', 200)))];
        Assert.All(Grade(script, answers, timeout: 120), score => Assert.Equal(0.5, score)); // 3000 processes on a busy machine
    }

    [Theory]
    [InlineData("exit code 3", "echo the disk has gone >&2; exit 3")]
    [InlineData("no score for 1 of 2", """echo '{"id":"1.0","score":1}'""")]
    [InlineData("\"9\", which was not asked for", """echo '{"id":"9","score":1}'""")]
    [InlineData("two scores", """echo '{"id":"1.0","score":1}'; echo '{"id":"1.0","score":1}'""")]
    [InlineData("no JSON", "echo fine")]
    [InlineData("no text \"id\"", "echo '[1]'")]
    [InlineData("not from 0 to 1", """echo '{"id":"1.0","score":1.5}'""")]
    [InlineData("Line 2", """echo '{"id":"1.0","score":1}'; echo nonsense""")]
    public void A_program_that_fails_gives_one_error_with_its_last_words(string says, string script)
    {
        CompilerException error = Assert.Throws<CompilerException>(() => Grade("echo last words >&2\n" + script, Answers("1", "2")));
        Assert.Equal(DiagnosticCodes.GraderFailed, error.Code);
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.Contains("last words", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_program_that_does_not_exist_gives_an_error()
    {
        ProgramGrader grader = new(Settings(["no-such-grader-anywhere"]), _folder[""], Error);
        Assert.Contains("cannot be started", Assert.Throws<CompilerException>(() => grader.Grade(Answers("1"), TestContext.Current.CancellationToken)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_program_that_hangs_is_ended_with_its_children()
    {
        string script = "echo waiting >&2\nsleep 600 &\necho $! > child.txt\nwait";
        long started = Stopwatch.GetTimestamp();
        CompilerException error = Assert.Throws<CompilerException>(() => Grade(script, Answers("1"), timeout: 1));
        Assert.InRange(Stopwatch.GetElapsedTime(started).TotalSeconds, 0.9, 20);
        Assert.Contains("within 1 seconds", error.Message, StringComparison.Ordinal);
        Assert.Contains("waiting", error.Message, StringComparison.Ordinal);
        AssertGone(int.Parse(File.ReadAllText(_folder["child.txt"])));
    }

    [Fact]
    public void Cancelling_ends_the_program()
    {
        using CancellationTokenSource cancellation = new(TimeSpan.FromMilliseconds(300));
        Assert.ThrowsAny<OperationCanceledException>(() => Grade("echo $$ > child.txt; sleep 600", Answers("1"), token: cancellation.Token));
        AssertGone(int.Parse(File.ReadAllText(_folder["child.txt"])));
    }

    [Fact]
    public void Arguments_reach_the_program_without_a_shell()
    {
        Skip();
        File.WriteAllText(_folder["grade.sh"], """printf '%s' "$1" > argument.txt; cat > /dev/null; echo '{"id":"1.0","score":1}'""");
        string odd = "$(touch pwned); `x` 'y' \"z\" * ;";
        ProgramGrader grader = new(Settings(["/bin/sh", "grade.sh", odd]), _folder[""], Error);
        Assert.Equal([1], grader.Grade(Answers("1"), TestContext.Current.CancellationToken));
        Assert.Equal(odd, File.ReadAllText(_folder["argument.txt"]));
        Assert.False(File.Exists(_folder["pwned"]));
    }

    private IReadOnlyList<double> Grade(string script, IReadOnlyList<GradedAnswer> answers, int timeout = 20, CancellationToken? token = null)
    {
        Skip();
        File.WriteAllText(_folder["grade.sh"], script);
        return new ProgramGrader(Settings(["/bin/sh", "grade.sh"], timeout), _folder[""], Error).Grade(answers, token ?? TestContext.Current.CancellationToken);
    }

    private static void Skip() => Assert.SkipWhen(OperatingSystem.IsWindows(), "The graders of these tests are shell scripts.");

    private static GraderSettings Settings(string[] command, int timeout = 20) => new() { Command = new EquatableArray<string>(command), TimeoutSeconds = timeout };

    private static GradedAnswer[] Answers(params string[] given) => [.. given.Select((g, i) => new GradedAnswer($"{i + 1}", "1+1?", "2", g, g))];

    private static CompilerException Error(string message, Exception? cause) => new(DiagnosticCodes.GraderFailed, message, innerException: cause);

    // The kill is sent before the error is thrown, but the system may take a moment.
    private static void AssertGone(int process) => Assert.True(SpinWait.SpinUntil(() => !IsRunning(process), TimeSpan.FromSeconds(10)), $"Process {process} still runs.");

    private static bool IsRunning(int process)
    {
        string status = $"/proc/{process}/status";
        try
        {
            return File.Exists(status) ? !File.ReadAllText(status).Contains("State:\tZ", StringComparison.Ordinal) : !OperatingSystem.IsLinux() && Process.GetProcesses().Any(p => p.Id == process);
        }
        catch (IOException)
        {
            return false;
        }
    }
}
