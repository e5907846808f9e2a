using ModelSdk.Runtime.Sessions;
using ModelSdk.Runtime.Voting;

namespace ModelSdk.Runtime.Decoding;

/// <summary>One stream behind an encoded prompt, on the cache that holds the prompt.</summary>
internal static class Generation
{
    /// <summary>Answers a request; blocks the calling thread.</summary>
    /// <param name="model">The model.</param>
    /// <param name="cache">What is encoded so far; holds the prompt afterwards, and what one stream generated.</param>
    /// <param name="request">The request.</param>
    /// <param name="sink">Takes text on the calling thread: of one stream as soon as it is decided, of several streams when the vote has ended.</param>
    /// <param name="cancellationToken">Checked before each model pass.</param>
    public static ReasoningResult Run(LoadedBundle model, TokenCache cache, ReasoningRequest request, Action<UpdateKind, string>? sink, CancellationToken cancellationToken)
    {
        EncodedPrompt prompt = EncodedPrompt.Create(model, cache, request, cancellationToken);
        // What the switcher found easy is answered directly, once.
        if (prompt.Routing is not null && prompt.Graph.Index == 0)
            request = request with { Streams = 1 };
        return request.Streams > 1 || request.Voting.ProbeStable > 0
            ? ParallelGeneration.Run(model, cache, request, prompt, sink, cancellationToken)
            : RunOne(model, cache, request, prompt, sink, cancellationToken);
    }

    private static ReasoningResult RunOne(
        LoadedBundle model,
        TokenCache cache,
        ReasoningRequest request,
        EncodedPrompt prompt,
        Action<UpdateKind, string>? sink,
        CancellationToken cancellationToken)
    {
        int room = cache.Context - prompt.Tokens - (prompt.Verifier?.Tokens.Length ?? 0);
        StreamState state = new(model.Output, request.Sampling, room, request.Budget, request.MaxTokens, request.Stop, sink) { Recorder = prompt.Verifier?.Recorder() };
        (int passes, int drafted, int accepted) = Decode(model, cache, prompt.Graph, state, request.DraftTokens, cancellationToken);
        Usage usage = new(prompt.Tokens, prompt.Encoded, prompt.Reused, state.ReasoningTokens, state.AnswerTokens, request.Budget, state.Forced)
        {
            Passes = passes,
            DraftedTokens = drafted,
            AcceptedTokens = accepted,
        };
        ReasoningResult result = new(state.Answer, state.Reasoning, prompt.Graph.Mode, usage, state.Finish) { Routing = prompt.Routing };
        return prompt.Verifier is null ? result : Verify(model, cache, prompt, state, result, cancellationToken);
    }

    /// <summary>
    /// Generates the sequence. A pass runs the token that was chosen and a draft of those that may follow, and gives logits behind each; the sequence then chooses from
    /// them as it would one by one, and what was drafted otherwise is taken back. So a draft decides how many passes are made, and nothing else: seeds, budgets,
    /// stop texts and confidence see the same logits, bit for bit (<see cref="TokenCache.Step"/>), in the same order. This is speculative sampling (Leviathan et al.,
    /// arXiv 2211.17192) with a draft that is certain of itself: a token is accepted with its probability, and else the one that was drawn is a draw from the rest.
    /// </summary>
    /// <returns>Passes that were made, tokens that were drafted, and those of them that were chosen.</returns>
    private static (int Passes, int Drafted, int Accepted) Decode(LoadedBundle model, TokenCache cache, GraphSession graph, StreamState state, int draftTokens, CancellationToken cancellationToken)
    {
        PromptLookup? lookup = null;
        if (draftTokens > 0)
        {
            lookup = new PromptLookup(model.KnownText);
            lookup.AddText(cache.Tokens);
        }

        Span<int> run = stackalloc int[TokenCache.MaxRows];
        int passes = 0;
        int allDrafted = 0;
        int accepted = 0;
        int length = cache.Length;                 // tokens held that are part of the sequence
        int drafted = 0;                           // tokens behind the one that was chosen in the last pass
        int row = 0;                               // of these, those that were chosen since
        while (true)
        {
            StreamAction action = state.Next(cache.LogitsOf(row));
            if (action == StreamAction.Step)
            {
                cancellationToken.ThrowIfCancellationRequested();
                lookup?.Add(state.Token);
                length++;
                if (row < drafted && run[row + 1] == state.Token)
                {
                    row++;
                    accepted++;
                    continue;
                }

                cache.Rewind(length - 1);
                run[0] = state.Token;
                // One place is left for the token that makes the count even.
                int most = Math.Min(draftTokens, cache.Context - length - 1);
                drafted = lookup?.Draft(run.Slice(1, Math.Max(most, 0))) ?? 0;
                allDrafted += drafted;
                cache.Step(graph, run[..(1 + drafted)]);
            }
            else
            {
                cache.Rewind(length);
                if (action == StreamAction.End)
                    return (passes, allDrafted, accepted);
                if (action == StreamAction.Invalid)
                    throw new InvalidLogitsException(graph.Mode, length - 1);
                cache.Append(graph, model.Output.ForceAnswerTokens, logits: true, cancellationToken);
                lookup?.AddText(model.Output.ForceAnswerTokens);
                length = cache.Length;
                drafted = 0;
            }

            row = 0;
            passes++;
        }
    }

    /// <summary>Asks the verifier about the answer.</summary>
    private static ReasoningResult Verify(
        LoadedBundle model,
        TokenCache cache,
        EncodedPrompt prompt,
        StreamState state,
        ReasoningResult result,
        CancellationToken cancellationToken)
    {
        VoteTally tally = new();
        if (Ballot.Of(model.Bundle.Answer, state) is string answer)
        {
            if (state.Unrun is int last)
                cache.Append(prompt.Graph, [last], logits: false, cancellationToken);
            float logit = cache.Score(prompt.Verifier!.Graph, prompt.Verifier.Tokens, cancellationToken);
            tally.Add(answer, prompt.Verifier.Probability(logit, cache.Length + prompt.Verifier.Tokens.Length - 1, state.Confidence));
        }

        IReadOnlyList<Vote> votes = tally.Votes();
        return result with { Votes = votes, Confidence = votes.Count > 0 ? votes[0].Confidence : 0 };
    }
}
