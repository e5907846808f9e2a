using MathTutor;
using ModelSdk.Runtime;

// Answers one question given as arguments, or talks until the input ends. The switcher decides whether to think, unless told:
// --think: always, --chat: never, --vote: eight times, and the answers vote.
string how = args.FirstOrDefault(a => a is "--think" or "--chat" or "--vote")?[2..] ?? "auto";
string question = string.Join(' ', args.Where(a => a is not ("--think" or "--chat" or "--vote")));

using var stop = new CancellationTokenSource();
Console.CancelKeyPress += (_, pressed) =>
{
    pressed.Cancel = true;
    stop.Cancel();
};

try
{
    await using var tutor = await TutorModel.LoadAsync(cancellationToken: stop.Token);
    if (question.Length > 0)
    {
        await Answer(tutor, question, how);
        return 0;
    }

    Console.WriteLine("Ask a word problem about amounts. /auto, /think, /chat, /vote: how to answer; an empty line: end.");
    while (Ask(how) is { Length: > 0 } line)
    {
        switch (line.Trim())
        {
            case "/auto" or "/think" or "/chat" or "/vote":
                how = line.Trim()[1..];
                break;
            case var text:
                await Answer(tutor, text, how);
                break;
        }
    }

    return 0;
}
catch (OperationCanceledException)
{
    return 130;
}
catch (ModelSdk.ModelSdkException error)
{
    Console.Error.WriteLine($"{error.Code}: {error.Message}");
    return 1;
}

static string? Ask(string how)
{
    Console.Write($"{how}> ");
    return Console.ReadLine();
}

async Task Answer(TutorModel tutor, string text, string how)
{
    switch (how)
    {
        case "vote":
            Vote(await tutor.AnswerAsync(text, TutorModel.Budgets.Vote, stop.Token));
            break;
        case "chat":
            await Stream(tutor.StreamAsync(text, TutorModel.Adapters.Base, cancellationToken: stop.Token));
            break;
        case "think":
            await Stream(tutor.StreamAsync(text, TutorModel.Adapters.Arithmetic, TutorModel.Budgets.Short, stop.Token));
            break;
        default:
            await Stream(tutor.StreamAsync(text, TutorModel.Adapters.Auto, TutorModel.Budgets.Short, stop.Token));
            break;
    }
}

// The reasoning dimmed, then the answer, typed by the manifest.
async Task Stream(IAsyncEnumerable<ReasoningUpdate> updates)
{
    (string dim, string plain) = Console.IsOutputRedirected ? ("", "") : ("\e[2m", "\e[0m");
    bool thinking = false;
    await foreach (ReasoningUpdate update in updates)
    {
        if (update.Kind == UpdateKind.Reasoning)
        {
            Console.Write(thinking ? update.Text : dim + update.Text);
            thinking = true;
        }

        if (update.Completed is { } result)
        {
            var answer = new TutorAnswer(result);
            string routed = answer.Routing is { } routing ? $", needs thinking: {routing.Score:P0}" : "";
            Console.WriteLine(thinking ? plain : "");
            Console.WriteLine(answer.TryGetValue(out int value) ? $"{value}" : answer.Text);
            Console.WriteLine($"{dim}({answer.Usage.ReasoningTokens} tokens of reasoning, {answer.Usage.AnswerTokens} of answer, by {answer.Adapter}{routed}){plain}");
        }
    }
}

static void Vote(TutorAnswer answer)
{
    Console.WriteLine(answer.TryGetValue(out int value) ? $"{value}" : answer.Text);
    foreach (TutorVote vote in answer.Votes)
    {
        Console.WriteLine($"  {vote.Value}: {vote.Streams} of {answer.Votes.Sum(v => v.Streams)} streams, {vote.Confidence:P0} sure");
    }
}
